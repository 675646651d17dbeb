"""A synthetic Slack export of any size: made up, and the same bytes for the same parameters. Written as a stream.

The shape is that of real exports: channels of very different sizes, a file per channel and day, messages with blocks,
ids and teams as Slack writes them (about 600 bytes each), threads whose replies come minutes to months later, edits,
reactions, files, apps, joins. The words are invented, so that packing them costs what packing words costs.
"""

import json
import random
import zipfile
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

TEAM: Final = "T0SYNTH01"
BEGIN: Final = 1_600_000_000
DAY_S: Final = 86_400
PEOPLE: Final = 400
MESSAGES_A_FILE: Final = 100
_LETTERS: Final = "etaoinshrdlucmfwypvbgk"
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def export_path(folder: Path, messages: int, seed: int = 7) -> Path:
    """The archive of these parameters, generated unless it lies there already."""
    path = folder / f"doppel-synthetic-export-{messages}-{seed}-v1.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        write_export(partial, messages, seed)
        partial.rename(path)
    return path


def write_export(path: Path, messages: int, seed: int) -> None:
    """Generate one. Holds one day of one channel."""
    dice = random.Random(seed)
    words = _Words(dice)
    users = [f"U{_code(dice, 9)}" for _ in range(PEOPLE)]
    channels = [(f"C{_code(dice, 9)}", f"channel-{number}") for number in range(40 + messages // 100_000)]
    shares = [1 / (rank + 3) ** 0.8 for rank in range(len(channels))]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("channels.json", json.dumps([{"id": id_, "name": name} for id_, name in channels]))
        archive.writestr("users.json", json.dumps([_user(each, number) for number, each in enumerate(users)]))
        left = messages
        for number, ((_, name), share) in enumerate(zip(channels, shares, strict=True)):
            count = left if number == len(channels) - 1 else min(left, round(messages * share / sum(shares)))
            left -= count
            for day, content in _Channel(dice, words, users).days(count):
                archive.writestr(f"{name}/{day}.json", content)


class _Words:
    """Invented words, some common and most rare, joined to messages as long as people's are."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._words = [
            "".join(dice.choices(_LETTERS, k=1 + min(12, int(dice.expovariate(0.25))))) for _ in range(8_000)
        ]
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(len(self._words))))

    def some(self) -> str:
        """One message's."""
        count = 1 + min(120, int(self._dice.lognormvariate(2.5, 0.9)))
        return " ".join(self._dice.choices(self._words, cum_weights=self._weights, k=count))


class _Channel:
    """One channel's history."""

    def __init__(self, dice: random.Random, words: _Words, users: list[str]) -> None:
        self._dice, self._words = dice, words
        self._users = dice.sample(users, k=dice.randint(5, 60))
        self._roots: list[tuple[str, str]] = []

    def days(self, count: int) -> Iterator[tuple[str, str]]:
        """``(day, JSON)``."""
        at, number = BEGIN, 0
        while count > 0:
            some = min(count, 1 + int(self._dice.expovariate(1 / MESSAGES_A_FILE)))
            step = DAY_S / (some + 1)
            lines = [self._message(at + step * (each + self._dice.random())) for each in range(some)]
            yield (
                f"{2020 + number // 360}-{number % 360 // 30 + 1:02d}-{number % 30 + 1:02d}",
                f"[{','.join(lines)}]",
            )
            at, number, count = at + DAY_S, number + 1, count - some

    def _message(self, at: float) -> str:
        dice = self._dice
        user, text = dice.choice(self._users), self._words.some()
        ts = f"{int(at)}.{dice.randrange(1_000_000):06d}"
        kind = dice.random()
        if kind < 0.04:
            joined = f"<@{user}> has joined the channel"
            return (
                f'{{"subtype":"channel_join","user":"{user}","text":"{joined}","type":"message","ts":"{ts}"}}'
            )
        if kind < 0.09:
            return (
                f'{{"subtype":"bot_message","text":"{text}","username":"deploys","bot_id":"B0SYNTH01","type":"message",'
                f'"ts":"{ts}","attachments":[{{"fallback":"{text}","color":"36a64f","title":"{text[:40]}","id":1}}]}}'
            )
        extra, inner = self._thread(ts, user), text
        if kind < 0.24:
            text, inner = f"<@{dice.choice(self._users)}> {text}", f"@someone {text}"
        elif kind < 0.32:
            text = f"{text} <https:\\/\\/example.com\\/{inner[:12].replace(' ', '-')}?a=1&amp;b=2>"
        elif kind < 0.36:
            text = inner = f"{text} \\u2014 \\u00fcber \\ud83c\\udf89"
        elif kind < 0.38:
            extra += f',"edited":{{"user":"{user}","ts":"{int(at) + 40}.000000"}}'
        elif kind < 0.46:
            extra += (
                f',"reactions":[{{"name":"+1","users":["{user}","{dice.choice(self._users)}"],"count":2}}]'
            )
        elif kind < 0.48:
            extra += f',"subtype":"file_share","upload":true,"files":[{_file(dice, user, int(at))}]'
        uuid = f"{dice.getrandbits(128):032x}"
        return (
            f'{{"client_msg_id":"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}","type":"message",'
            f'"text":"{text}","user":"{user}","ts":"{ts}","team":"{TEAM}","user_team":"{TEAM}","source_team":"{TEAM}",'
            f'"blocks":[{{"type":"rich_text","block_id":"{uuid[3:8]}","elements":[{{"type":"rich_text_section",'
            f'"elements":[{{"type":"text","text":"{inner}"}}]}}]}}]{extra}}}'
        )

    def _thread(self, ts: str, user: str) -> str:
        """A quarter are replies, most to something new, a few to something months old; some become roots."""
        dice = self._dice
        if self._roots and dice.random() < 0.25:
            last = len(self._roots) - 1
            back = int(dice.expovariate(0.5)) if dice.random() < 0.95 else dice.randint(0, last)
            root, author = self._roots[max(0, last - back)]
            return f',"thread_ts":"{root}","parent_user_id":"{author}"'
        if dice.random() < 0.1:
            self._roots.append((ts, user))
            del self._roots[:-20_000]
            return (
                f',"thread_ts":"{ts}","reply_count":2,"reply_users_count":1,"latest_reply":"{ts}",'
                f'"reply_users":["{user}"],"is_locked":false,"subscribed":false'
            )
        return ""


def _file(dice: random.Random, user: str, at: int) -> str:
    code = _code(dice, 9)
    return (
        f'{{"id":"F{code}","created":{at},"timestamp":{at},"name":"image.png","title":"image.png",'
        f'"mimetype":"image\\/png","filetype":"png","pretty_type":"PNG","user":"{user}","editable":false,'
        f'"size":{dice.randint(1_000, 9_000_000)},"mode":"hosted","is_external":false,"is_public":true,'
        f'"url_private":"https:\\/\\/files.slack.com\\/files-pri\\/{TEAM}-F{code}\\/image.png?t=xoxe-1-{code}",'
        f'"permalink":"https:\\/\\/synthetic.slack.com\\/files\\/{user}\\/F{code}\\/image.png","has_rich_preview":false}}'
    )


def _user(user_id: str, number: int) -> dict[str, object]:
    name = f"person-{number}"
    return {
        "id": user_id,
        "team_id": TEAM,
        "name": name,
        "deleted": number % 9 == 0,
        "profile": {"display_name": name},
    }


def _code(dice: random.Random, length: int) -> str:
    return "".join(dice.choices(_ALPHABET, k=length))
