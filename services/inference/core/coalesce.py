"""Join the engine's pieces of text so that a reader sees at most so many updates a second."""

from typing import NamedTuple


class Update(NamedTuple):
    """What a reader gets: its number, from 0 without holes, and the text since the one before."""

    seq: int
    text: str
    done: bool = False


class Coalescer:
    """Collects text; `add` returns what is due, the first piece at once."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._pending = ""
        self._next_at = float("-inf")
        self._seq = 0

    def add(self, text: str, now: float) -> Update | None:
        """Take a piece; returns an update where one is due."""
        self._pending += text
        if not self._pending or now < self._next_at:
            return None
        self._next_at = now + self._interval_s
        return self._take(done=False)

    def finish(self) -> Update:
        """The last update, due at once, even when empty."""
        return self._take(done=True)

    def _take(self, *, done: bool) -> Update:
        update = Update(self._seq, self._pending, done)
        self._pending = ""
        self._seq += 1
        return update
