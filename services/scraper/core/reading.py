"""The raw messages of one channel → rows to sort, with what was left out, counted, and who was met.

`Reader.rows` takes the way that nearly all messages can take, in few steps; what it can't take goes through
`words.read_message`. Both say the same of every message.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from doppel.slack.mrkdwn import to_plain
from services.scraper.core.fields import parse_text, parse_user_id, strip_file_tokens
from services.scraper.core.raw_message import RawMessage, inner
from services.scraper.core.rows import NEVER, encode_line, row_of
from services.scraper.core.timestamps import USUAL_TS, ts_key
from services.scraper.core.words import MAX_TEXT, PERSON, Line, Spoken, read_message

STRANGERS: Final = 5_000  # of one channel, or of one export: nobody can make us remember more
_NAME_FIELDS: Final = ("display_name", "real_name", "name")
_NAME_LIMIT: Final = 200


class Strangers:
    """People whom the directory lacks: id → newest name. Slack Connect's are known by their messages only."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str]] = {}

    def add(self, user_id: str, key: str, name: str) -> None:
        """Somebody of that name spoke at that time. Above the limit the first ids stay, in whatever order they come."""
        known = self._found.get(user_id)
        if known is None or (key, name) > known:
            self._found[user_id] = (key, name)
        if len(self._found) >= 2 * STRANGERS:
            kept = heapq.nsmallest(STRANGERS, self._found)
            self._found = {each: self._found[each] for each in kept}

    def found(self) -> list[tuple[str, str, str]]:
        """``(user id, when, name)``, by id."""
        return [(user_id, *self._found[user_id]) for user_id in heapq.nsmallest(STRANGERS, self._found)]


class Reader:
    """Reads one channel after another."""

    def __init__(self, names: Mapping[str, str], *, oldest: str = "", latest: str = "") -> None:
        """`names`: id → name of users and channels. `oldest`, `latest`: sort keys of a window; empty: open."""
        self._names = names
        self._oldest, self._latest = oldest, latest
        self._has_window = bool(oldest or latest)
        self._tails: dict[str, bytes] = {}
        self.dropped: Counter[str] = Counter()
        self.strangers = Strangers()

    def rows(self, raws: Iterable[RawMessage], channel_id: str, prefix: str) -> list[bytes]:
        """Rows of the first form (`core.rows`)."""
        rows: list[bytes] = []
        add, names, tails, is_usual = rows.append, self._names, self._tails, USUAL_TS.fullmatch
        begin = f'{{"channel_id":"{channel_id}","ts":"'
        for raw in raws:
            user, text, ts, thread_ts = raw.user, raw.text, raw.ts, raw.thread_ts
            if (
                raw.subtype
                or raw.edited is not None
                or raw.bot_id
                or raw.app_id
                or raw.bot_profile is not None
                or raw.hidden
                or raw.type != "message"
                or not user
                or not (tail := tails.get(user) or self._tail(user))
                or not text
                or len(text) > MAX_TEXT
                or "\x00" in text
                or ts is None
                or not is_usual(ts)
                or (thread_ts is not None and not is_usual(thread_ts))
                or self._has_window
            ):
                if (row := self._row(raw, channel_id, prefix)) is not None:
                    add(row)
                continue
            if "<" in text or "&" in text:
                text = to_plain(text, names)[:MAX_TEXT]
            if "t=xox" in text:
                text = strip_file_tokens(text)
            if text.isspace() or not text:
                if (row := self._row(raw, channel_id, prefix)) is not None:
                    add(row)
            elif thread_ts is None:
                head = f'{prefix}00{ts}000{NEVER}100{ts}000{begin}{ts}","text":'
                add(head.encode() + encode_line(text) + tail)
            else:
                head = f'{prefix}00{ts}000{NEVER}300{thread_ts}000{begin}{ts}","text":'
                add(head.encode() + encode_line(text) + f',"thread_ts":"{thread_ts}"'.encode() + tail)
        return rows

    def _tail(self, user: str) -> bytes:
        """How the line of somebody's own words ends; empty for who is no known person."""
        if user not in self._names or user[0] not in "UW" or user == "USLACKBOT":
            return b""
        return self._tails.setdefault(user, f',"user_id":"{user}"}}'.encode())

    def _row(self, raw: RawMessage, channel_id: str, prefix: str) -> bytes | None:
        """Any message."""
        found = read_message(raw, channel_id, self._names)
        if isinstance(found, str):
            self.dropped[found] += 1
            return None
        if not isinstance(found, Spoken):
            self.dropped[found.mark] += 1
            return row_of(found, prefix)
        line = found.line
        if self._has_window and not self._holds(ts_key(line.ts)):
            self.dropped["outside_window"] += 1
            return None
        if line.user_id is not None and line.user_id not in self._names:
            self._meet(line, raw)
        return row_of(found, prefix)

    def _holds(self, key: str) -> bool:
        return key > self._oldest and (not self._latest or key <= self._latest)

    def _meet(self, line: Line, raw: RawMessage) -> None:
        """Remember the name of somebody whom the directory lacks."""
        profile = inner(raw.user_profile)
        if line.words_of != PERSON or line.user_id is None or not isinstance(profile, dict):
            return
        fields = cast("dict[str, Any]", profile)
        names = (parse_text(fields.get(field)).strip()[:_NAME_LIMIT] for field in _NAME_FIELDS)
        if parse_user_id(raw.user) == line.user_id and (name := next(filter(None, names), "")):
            self.strangers.add(line.user_id, ts_key(line.ts), name)
