"""When an ended child comes back, and when to stop trying. Pure: the time is an argument."""

from dataclasses import dataclass, field
from typing import Final

LIMIT: Final = 5
WINDOW_S: Final = 60.0
FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 5.0


@dataclass
class Restarts:
    """The ends of one child within the last minute."""

    limit: int = LIMIT
    window_s: float = WINDOW_S
    _ends: list[float] = field(default_factory=list[float])

    def after_end(self, now: float) -> float | None:
        """Seconds to wait before the next start; None: the fifth end within a minute, give up."""
        self._ends = [end for end in self._ends if now - end < self.window_s]
        self._ends.append(now)
        if len(self._ends) >= self.limit:
            return None
        return min(MAX_DELAY_S, FIRST_DELAY_S * 4 ** (len(self._ends) - 1))
