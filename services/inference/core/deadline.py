"""Until when an answer is worth anything."""

from datetime import datetime, timedelta

from proto.errors import DeadlinePassed
from proto.generate import GenerateRequest


def time_left(request: GenerateRequest, *, default: timedelta, now: datetime) -> timedelta:
    """How long the answer may take. Raises DeadlinePassed where nobody waits any more.

    A request without a deadline is never too old, only too slow: its time begins when it is taken up.
    """
    if request.deadline_at is None:
        return default
    left = request.deadline_at - now
    if left <= timedelta(0):
        raise DeadlinePassed
    return left
