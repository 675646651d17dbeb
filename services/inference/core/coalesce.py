"""Join the engine's pieces of text so that a reader sees at most so many updates a second."""


class Coalescer:
    """Collects text; `add` returns what is due, numbered without gaps."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._pending = ""
        self._next_at = float("-inf")
        self._seq = 0

    def add(self, text: str, now: float) -> tuple[int, str] | None:
        """Take a piece; returns number and text of an update where one is due."""
        self._pending += text
        if not self._pending or now < self._next_at:
            return None
        self._next_at = now + self._interval_s
        return self._take()

    def finish(self) -> tuple[int, str]:
        """The last update, due at once, even when empty."""
        return self._take()

    def _take(self) -> tuple[int, str]:
        update = (self._seq, self._pending)
        self._pending = ""
        self._seq += 1
        return update
