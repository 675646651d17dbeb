"""Which of the child's many progress lines are worth a message."""

from dataclasses import dataclass


@dataclass
class Throttle:
    """Every new stage, and within a stage one message per `every_s`."""

    every_s: float = 2.0
    _stage: str = ""
    _said_at: float = float("-inf")

    def may_say(self, stage: str, now: float) -> bool:
        """Whether to publish now (monotonic seconds)."""
        if stage == self._stage and now - self._said_at < self.every_s:
            return False
        self._stage, self._said_at = stage, now
        return True
