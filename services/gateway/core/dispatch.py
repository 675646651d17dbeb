"""Which waiting questions go to the engine, and what to do about a post whose outcome is unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from services.gateway.core.outbox import OutboxRow

MOST_SENDS: Final = 3
MOST_REWRITES: Final = 100  # the same text in the same message: harmless, so Slack may be away for long
GIVE_UP_LOOKING_S: Final = 24 * 3600.0


class Dispatch(Enum):
    """What becomes of a waiting question."""

    SEND = auto()
    WAIT = auto()
    EXPIRED = auto()


@dataclass(frozen=True)
class Load:
    """What a workspace has at the engine, and what it may have."""

    outstanding: int
    last_minute: int
    limit: int
    replies_a_minute: int

    def with_more(self, count: int) -> "Load":
        """After `count` more."""
        return replace(self, outstanding=self.outstanding + count, last_minute=self.last_minute + count)

    @property
    def is_full(self) -> bool:
        """What is more waits its turn."""
        return self.outstanding >= self.limit or self.last_minute >= self.replies_a_minute


def may_send(row: OutboxRow, load: Load, now: datetime) -> Dispatch:
    """Decide whether a waiting question goes to the engine. What nobody waits for any more is answered, not asked."""
    if row.deadline_at is not None and row.deadline_at <= now:
        return Dispatch.EXPIRED
    return Dispatch.WAIT if load.is_full else Dispatch.SEND


def select_to_send(rows: Sequence[OutboxRow], load: Load, now: datetime) -> list[OutboxRow]:
    """Oldest first, as many as there is room for."""
    chosen: list[OutboxRow] = []
    for row in rows:
        if may_send(row, load.with_more(len(chosen)), now) is Dispatch.SEND:
            chosen.append(row)
    return chosen


class Resolution(Enum):
    """What becomes of a post that may or may not be out, once we have looked and not found it."""

    LOOK_LATER = auto()
    SEND_AGAIN = auto()
    GIVE_UP = auto()


def resolve_unseen(row: OutboxRow, *, settle_s: float) -> Resolution:
    """Not seen yet does not mean not there: wait, then send again, thrice at most, then only look."""
    if row.age_s > GIVE_UP_LOOKING_S:
        return Resolution.GIVE_UP
    if row.age_s < settle_s or row.attempt >= MOST_SENDS:
        return Resolution.LOOK_LATER
    return Resolution.SEND_AGAIN
