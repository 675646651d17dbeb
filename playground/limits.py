"""Slack's rate limits, as an option: tiers per method and token over a sliding minute, whose clock may run faster."""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

Mode = Literal["none", "slack", "distributed"]

MINUTE_S: Final = 60.0
CLOCK_HEADER: Final = "X-Playground-Retry-After"  # whole seconds of the faster clock
SLOW_PAGE: Final = 15
SLOWED: Final = frozenset({"conversations.history", "conversations.replies"})
_TIERS: Final = {1: 1, 2: 20, 3: 50, 4: 100}
_TIER_OF: Final = {
    "conversations.list": 2,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.join": 3,
    "conversations.info": 3,
    "conversations.open": 3,
    "conversations.members": 4,
    "users.conversations": 3,
    "users.list": 2,
    "users.info": 4,
    "bots.info": 3,
    "team.info": 3,
    "chat.update": 3,
    "chat.startStream": 2,
    "chat.appendStream": 4,
    "chat.stopStream": 2,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "reactions.add": 3,
    "reactions.get": 3,
    "reactions.remove": 2,
    "files.info": 4,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "files.delete": 3,
    "views.open": 4,
    "views.push": 4,
    "views.update": 4,
    "views.publish": 4,
    "assistant.threads.setSuggestedPrompts": 4,
}
_BY_THE_MINUTE: Final = {"auth.test": 300, "chat.postMessage": 60, "assistant.threads.setStatus": 100}


def allowed_per_minute(method: str, mode: Mode) -> int | None:
    """Calls a minute; None: as many as one likes."""
    if mode == "none":
        return None
    if mode == "distributed" and method in SLOWED:
        return _TIERS[1]
    if method in _BY_THE_MINUTE:
        return _BY_THE_MINUTE[method]
    tier = _TIER_OF.get(method)
    return _TIERS[tier] if tier else None


@dataclass
class Limits:
    """Who called what during the last minute of a clock that runs `scale` times faster than the wall's."""

    mode: Mode = "none"
    scale: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _calls: defaultdict[tuple[str, str], deque[float]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], deque[float]](deque)
    )

    def take(self, method: str, token: str) -> float | None:
        """Count a call that is let through; or say how many seconds of the wall's clock to wait."""
        allowed = allowed_per_minute(method, self.mode)
        if allowed is None:
            return None
        now, minute = self.clock(), MINUTE_S / self.scale
        calls = self._calls[method, token]
        while calls and calls[0] <= now - minute:
            calls.popleft()
        if len(calls) < allowed:
            calls.append(now)
            return None
        return calls[0] + minute - now

    def headers(self, wait_s: float) -> dict[str, str]:
        """``Retry-After`` in whole seconds of the wall's clock, as clients understand it, and of our own clock."""
        whole = max(1, math.ceil(wait_s))
        return {"Retry-After": str(whole), CLOCK_HEADER: str(max(1, math.ceil(wait_s * self.scale)))}

    def page_limit(self, method: str) -> int | None:
        """The most messages of a page, where the mode has its own."""
        return SLOW_PAGE if self.mode == "distributed" and method in SLOWED else None

    def set(self, mode: Mode, scale: float) -> None:
        """Change the rules; what was called before is forgotten."""
        self.mode, self.scale = mode, scale
        self._calls.clear()
