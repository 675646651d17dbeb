"""How fast one Slack method may be called for one workspace: start optimistic, learn from 429, recover slowly.

Tiers of docs.slack.dev/apis/web-api/rate-limits; 80 % of a tier is the slowest pace that a plain 429 teaches, so
that the gateway's own calls keep room. A long Retry-After is another regime (one history page a minute for
commercially distributed apps) and is obeyed as it stands.
"""

from typing import Final

SHARE: Final = 0.8
FIRST_INTERVAL_S: Final = 0.1
RECOVERY: Final = 0.97  # each call that goes shortens the interval by so much
SLOW_MODE_S: Final = 30.0  # a Retry-After this long is no burst limit
FULL_PAGE: Final = 200
SLOW_PAGE: Final = 15
_PER_MINUTE: Final = {
    "conversations.list": 20,
    "conversations.history": 50,
    "conversations.replies": 50,
    "conversations.join": 50,
    "users.list": 20,
}


def slowest_interval_s(method: str) -> float:
    """The pace of 80 % of the method's tier."""
    return 60.0 / (_PER_MINUTE.get(method, 20) * SHARE)


def interval_after_429(method: str, interval_s: float, retry_after_s: float) -> float:
    """The interval that a refusal teaches."""
    if retry_after_s >= SLOW_MODE_S and method in ("conversations.history", "conversations.replies"):
        return retry_after_s
    return min(max(interval_s * 2, FIRST_INTERVAL_S), slowest_interval_s(method))


def page_size(interval_s: float) -> int:
    """How many messages to ask for: in slow mode Slack gives 15 and no more."""
    return SLOW_PAGE if interval_s >= SLOW_MODE_S else FULL_PAGE
