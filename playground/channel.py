"""One conversation: its messages in order, its threads, its members."""

import bisect
import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from playground.model import ChannelKind, Message, SeedChannel

Clock = Callable[[], int]


def now_us() -> int:
    """Microseconds since 1970, without a float on the way."""
    return time.time_ns() // 1000


def ts_of(microseconds: int) -> str:
    """Slack's timestamp: ten digits, a dot, six digits. Of equal width, so text order is time order."""
    return f"{microseconds // 1_000_000:010d}.{microseconds % 1_000_000:06d}"


def us_of(ts: str) -> int:
    """The inverse of `ts_of`; tolerates what callers send (fewer digits, no dot). Raises ValueError."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds or "0") * 1_000_000 + int(fraction[:6].ljust(6, "0"))


class Channel:
    """A channel or DM. `ts` is unique and rising in it."""

    def __init__(self, seed: SeedChannel, *, clock: Clock = now_us) -> None:
        self.id = seed.id
        self.name = seed.name
        self.kind: ChannelKind = seed.kind
        self.created = seed.created
        self.creator = seed.creator
        self.members = list(seed.members)
        self.topic = seed.topic
        self.purpose = seed.purpose
        self.is_general = seed.is_general
        self.is_archived = False
        self._clock = clock
        self._by_ts: dict[str, Message] = {}
        self._order: list[str] = []
        self._replies: defaultdict[str, list[str]] = defaultdict(list)
        self._last_us = 0
        self._load(copy.deepcopy(message) for message in seed.messages)
        if seed.source is not None:
            self._load(seed.source())

    @property
    def message_count(self) -> int:
        """Replies included."""
        return len(self._order)

    def next_ts(self) -> str:
        """A timestamp later than every other one here, also when the clock stands still or goes back."""
        self._last_us = max(self._clock(), self._last_us + 1)
        return ts_of(self._last_us)

    def insert(self, message: Message) -> None:
        """Put a message with a fresh ts; a reply also counts at its root."""
        ts = message["ts"]
        if ts in self._by_ts:
            raise ValueError(f"ts {ts} exists in {self.id}")
        self._last_us = max(self._last_us, us_of(ts))
        self._by_ts[ts] = message
        bisect.insort(self._order, ts)
        root_ts = message.get("thread_ts")
        if root_ts is not None and root_ts != ts:
            bisect.insort(self._replies[root_ts], ts)
            self._recount(root_ts)

    def _load(self, messages: Iterable[Message]) -> None:
        """Put many at once; each thread is counted once."""
        roots: set[str] = set()
        for message in messages:
            ts, root_ts = message["ts"], message.get("thread_ts")
            if ts in self._by_ts:
                raise ValueError(f"ts {ts} exists in {self.id}")
            self._by_ts[ts] = message
            if root_ts is not None and root_ts != ts:
                self._replies[root_ts].append(ts)
                roots.add(root_ts)
        self._order = sorted(self._by_ts)
        if self._order:
            self._last_us = max(self._last_us, us_of(self._order[-1]))
        for root_ts in roots:
            self._replies[root_ts].sort()
            self._recount(root_ts)

    def remove(self, ts: str) -> Message:
        """Take a message out; a root with replies leaves a tombstone. Raises KeyError."""
        message = self._by_ts[ts]
        if self._replies.get(ts):
            kept = {
                key: message[key] for key in ("ts", "thread_ts", "reply_count", "reply_users", "latest_reply")
            }
            self._by_ts[ts] = {
                "type": "message",
                "subtype": "tombstone",
                "user": "USLACKBOT",
                "text": "This message was deleted.",
                "hidden": True,
                **kept,
            }
            return message
        del self._by_ts[ts]
        self._order.remove(ts)
        root_ts = message.get("thread_ts")
        if root_ts is not None and root_ts != ts:
            self._replies[root_ts].remove(ts)
            self._recount(root_ts)
        return message

    def get(self, ts: str) -> Message | None:
        """The message with exactly this ts."""
        return self._by_ts.get(ts)

    def is_reply(self, message: Message) -> bool:
        """Whether it stands in a thread below its root."""
        return message.get("thread_ts") not in (None, message["ts"])

    def top_level(self) -> Iterator[Message]:
        """Roots, plain messages and broadcasts, newest first: what conversations.history shows."""
        for ts in reversed(self._order):
            message = self._by_ts[ts]
            if not self.is_reply(message) or message.get("subtype") == "thread_broadcast":
                yield message

    def replies(self, root_ts: str) -> list[Message]:
        """Replies below a root, oldest first."""
        return [self._by_ts[ts] for ts in self._replies.get(root_ts, ())]

    def everything(self) -> Iterator[Message]:
        """All messages, oldest first."""
        for ts in self._order:
            yield self._by_ts[ts]

    def _recount(self, root_ts: str) -> None:
        root = self._by_ts.get(root_ts)
        if root is None:
            return
        replies = self.replies(root_ts)
        if not replies:
            for key in (
                "thread_ts",
                "reply_count",
                "reply_users_count",
                "latest_reply",
                "reply_users",
                "is_locked",
            ):
                root.pop(key, None)
            return
        users = list(dict.fromkeys(str(reply.get("user") or reply.get("bot_id")) for reply in replies))
        counters: dict[str, Any] = {
            "thread_ts": root_ts,
            "reply_count": len(replies),
            "reply_users_count": len(users),
            "latest_reply": replies[-1]["ts"],
            "reply_users": users,
            "is_locked": False,
            "subscribed": False,
        }
        root.update(counters)
