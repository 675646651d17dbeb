"""What a server refused us: a wrong right is loud, in the log and in readiness, instead of an endless "later"."""

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

REMEMBERED_S: Final = 300.0


class Refused(Exception):
    """We are not allowed what we need; the sentence says what, and what to do."""


class Refusals:
    """The newest refusal of one server, kept for `remembered_s` after it was last heard, or until forgotten."""

    def __init__(
        self, remembered_s: float = REMEMBERED_S, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remembered_s = remembered_s
        self._clock = clock
        self._sentence = ""
        self._until = 0.0

    def note(self, sentence: str) -> None:
        """We were refused something."""
        if sentence != self._sentence or self._clock() > self._until:
            log.error("%s", sentence)
        self._sentence, self._until = sentence, self._clock() + self._remembered_s

    def forget(self) -> None:
        """Rights may have changed."""
        self._until = 0.0

    def check(self) -> None:
        """Raise Refused while something was refused lately."""
        if self._clock() < self._until:
            raise Refused(self._sentence)
