"""May a waiting question go to the engine?"""

from datetime import datetime
from enum import StrEnum


class Dispatch(StrEnum):
    """What to do with a waiting question."""

    SEND = "send"
    WAIT = "wait"
    EXPIRED = "expired"


def may_send(deadline_at: datetime, *, outstanding: int, limit: int, now: datetime) -> Dispatch:
    """Decide about one question. What nobody waits for any more is answered, not asked."""
    if deadline_at <= now:
        return Dispatch.EXPIRED
    return Dispatch.WAIT if outstanding >= limit else Dispatch.SEND
