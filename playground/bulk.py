"""A large synthetic workspace: many channels, many threads, nobody's words. The same for the same arguments.

Messages are made while a channel takes them in, so that nothing is held twice. Sizes of channels differ as in real
workspaces: the busiest has several times the messages and threads of the quietest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from playground.cast import PEOPLE, bots, users
from playground.channel import ts_of
from playground.model import BOT_USER_ID, Message, SeedChannel, SeedWorkspace

DAYS: Final = 365
_DAY_US: Final = 86_400_000_000
_WORDS: Final = (
    "the build is green again after the cache was cleared",
    "who can look at the invoice export before thursday",
    "i moved the meeting so that lisbon can join",
    "it fails only on the second retry and only with a proxy",
    "the new shelf labels came in and they are all upside down",
    "numbers look right to me, sending them on",
    "can we keep the old endpoint until the partners have moved",
    "lunch is on the third floor today",
)
_REPLIES_SHARE: Final = 0.4  # of all messages, where there are threads


@dataclass(frozen=True)
class Size:
    """How large."""

    channels: int
    messages: int
    threads: int


def make_bulk(seed: int, size: Size, *, now: int, team_id: str, app_id: str) -> SeedWorkspace:
    """`size.messages` messages in all, on `size.channels` public channels, with `size.threads` threads."""
    rng = Random(seed)  # noqa: S311  reproducible on purpose
    weights = [0.5 + rng.random() for _ in range(size.channels)]
    messages = _shares(size.messages, weights)
    threads = [min(t, m // 2) for t, m in zip(_shares(size.threads, weights), messages, strict=True)]
    staff = [user_id for user_id, *_ in PEOPLE]
    channels = [
        SeedChannel(
            id=f"C{number:08d}",
            name=f"bulk-{number:03d}",
            kind="public",
            created=now - (DAYS + 10) * 86_400,
            creator=staff[number % len(staff)],
            members=[*staff, BOT_USER_ID] if number % 2 else list(staff),
            topic="Synthetic",
            purpose="Much to read",
            source=_Source(f"{seed}/{number}", messages[number], threads[number], now * 1_000_000, team_id),
        )
        for number in range(size.channels)
    ]
    return SeedWorkspace(
        team_id, "Doppel Playground (bulk)", "doppel-bulk", users(team_id, app_id), channels, bots(app_id)
    )


def _shares(total: int, weights: list[float]) -> list[int]:
    """`total` cut up by weight, without a rest."""
    whole, given, shares = sum(weights), 0, list[int]()
    passed = 0.0
    for weight in weights:
        passed += weight
        upto = round(total * passed / whole)
        shares.append(upto - given)
        given = upto
    return shares


@dataclass(frozen=True)
class _Source:
    """One channel's messages, made each time anew, oldest first by root; replies follow theirs."""

    seed: str
    messages: int
    threads: int
    end_us: int
    team_id: str

    def __call__(self) -> Iterator[Message]:
        rng = Random(self.seed)  # noqa: S311  reproducible on purpose
        replies = max(self.threads, int(self.messages * _REPLIES_SHARE)) if self.threads else 0
        roots = self.messages - replies
        each = _shares(replies - self.threads, [0.2 + rng.random() for _ in range(self.threads)])
        counts = [1 + extra for extra in each]
        places = dict(zip(sorted(rng.sample(range(roots), self.threads)), counts, strict=True))
        step = (DAYS * _DAY_US) // max(roots, 1)
        start = self.end_us - DAYS * _DAY_US - _DAY_US
        for number in range(roots):
            at = start + number * step + rng.randrange(step // 2)
            user_id = PEOPLE[rng.randrange(len(PEOPLE))][0]
            yield self._say(rng, user_id, at)
            root_ts = ts_of(at)
            for reply in range(places.get(number, 0)):
                author = PEOPLE[rng.randrange(len(PEOPLE))][0]
                # Odd microseconds, so that no reply ever meets a root.
                message = self._say(rng, author, (at + (reply + 1) * 61_000_000) // 2 * 2 + 1 + 10 * number)
                yield message | {"thread_ts": root_ts, "parent_user_id": user_id}

    def _say(self, rng: Random, user_id: str, at_us: int) -> Message:
        text = f"{_WORDS[rng.randrange(len(_WORDS))]} ({rng.randrange(10_000)})"
        return {
            "type": "message",
            "team": self.team_id,
            "user": user_id,
            "text": text,
            "client_msg_id": f"{rng.getrandbits(64):016x}",
            "ts": ts_of(at_us),
        }
