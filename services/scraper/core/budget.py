"""How fast one Slack method may be called for one workspace, and how much to ask for at once.

Tiers of docs.slack.dev/apis/web-api/rate-limits. We keep to 80 % of a tier from the first call on, so that the
gateway's own calls keep room; a 429 slows down further, calls that go well bring the pace back. Commercially
distributed apps that are not in the Marketplace get one request a minute and 15 messages a page of histories and
threads (slow mode); that is found out, never asked for.

`scale` is how many times faster than Slack's the other side's clock runs: 1 for Slack itself.
"""

from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.8
RECOVERY: Final = 0.97  # each call that goes shortens a learnt interval by so much
SLOWEST_TIMES: Final = 8  # of the floor: what plain refusals teach at most
SLOW_RETRY_S: Final = 30.0  # a longer Retry-After on a history is no burst limit
SLOW_PAGE: Final = 15
MOST_SLACK_S: Final = 0.15
HISTORY: Final = "conversations.history"
REPLIES: Final = "conversations.replies"
SLOWED: Final = (HISTORY, REPLIES)
_SLOW_PER_MINUTE: Final = 1
_PER_MINUTE: Final = {
    "conversations.list": 20,
    HISTORY: 50,
    REPLIES: 50,
    "conversations.join": 50,
    "users.list": 20,
}
_PAGES: Final = {HISTORY: 999, REPLIES: 1000, "conversations.list": 999, "users.list": 1000}


def floor_s(method: str, scale: float = 1.0) -> float:
    """Seconds between two calls at our share of the method's tier: never less."""
    return 60.0 / (_PER_MINUTE.get(method, 20) * SHARE) / scale


def slow_s(scale: float = 1.0) -> float:
    """The same in slow mode."""
    return 60.0 / (_SLOW_PER_MINUTE * SHARE) / scale


@dataclass(frozen=True)
class Pace:
    """What the table of budgets must know to give out one method's slots."""

    floor_s: float
    slow_s: float
    slack_s: float
    recovery: float = RECOVERY

    @classmethod
    def of(cls, method: str, scale: float) -> "Pace":
        """At our share. The slack is a hiccup's: far less than one call at Slack's own clock."""
        floor = floor_s(method, scale)
        return cls(floor, slow_s(scale), min(MOST_SLACK_S, 6 * floor))


def interval_after_429(method: str, interval_s: float, retry_after_s: float, scale: float = 1.0) -> float:
    """The interval that a refusal teaches."""
    if retry_after_s > SLOW_RETRY_S and method in SLOWED:
        return slow_s(scale)
    floor = floor_s(method, scale)
    if interval_s >= slow_s(scale):
        return interval_s
    return min(max(interval_s * 2, floor * 2), floor * SLOWEST_TIMES)


def is_slow(interval_s: float, scale: float = 1.0) -> bool:
    """Is that the interval of slow mode?"""
    return interval_s >= slow_s(scale) * 0.999


def shows_slow_mode(limit: int, count: int, *, has_more: bool) -> bool:
    """Slack gave just 15 where more were asked for and there: the slow mode of distributed apps."""
    return limit > SLOW_PAGE and count == SLOW_PAGE and has_more


def page_size(method: str, *, slow: bool = False) -> int:
    """How much to ask for: as much as Slack gives, so that the fewest requests are made."""
    return SLOW_PAGE if slow and method in SLOWED else _PAGES[method]
