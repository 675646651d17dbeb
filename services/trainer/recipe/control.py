"""What the parent tells the child: beats on stdin while it holds the run, SIGTERM to stop, its own death."""

import ctypes
import os
import signal
import sys
import threading
import time
from typing import BinaryIO, Protocol

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
GIVE_UP_S = 900.0  # a parent that is silent for so long is not coming back


class Stop(Exception):
    """Somebody asked the child to stop; the loop writes a checkpoint first."""


class Control(Protocol):
    """Asked between two steps and between two forward passes of an evaluation."""

    def check(self) -> None:
        """Return to go on; wait while the parent is silent. Raises Stop."""
        ...


class Unattended:
    """Nobody to obey: the recipe run by hand, and tests."""

    def check(self) -> None:
        """Go on."""


class ParentControl:
    """SIGTERM and stdin. One byte on stdin is one beat; its end is the parent's end."""

    def __init__(self, beats: BinaryIO, *, silence_s: float) -> None:
        self._silence_s = silence_s
        self._beat_at = time.monotonic()
        self._changed = threading.Condition()
        self._stop = False
        signal.signal(signal.SIGTERM, self._on_sigterm)
        threading.Thread(target=self._listen, args=(beats,), daemon=True, name="beats").start()

    def check(self) -> None:
        """Pause while no beat came for `silence_s`: the parent may have lost the run to another worker."""
        with self._changed:
            while not self._stop and self._silent_for() > self._silence_s:
                if self._silent_for() > GIVE_UP_S:
                    raise Stop
                self._changed.wait(timeout=0.2)  # short: a signal only sets a flag
        if self._stop:
            raise Stop

    def _silent_for(self) -> float:
        return time.monotonic() - self._beat_at

    def _on_sigterm(self, *_: object) -> None:
        self._stop = True

    def _listen(self, beats: BinaryIO) -> None:
        while beats.read(1):
            with self._changed:
                self._beat_at = time.monotonic()
                self._changed.notify()
        self._stop = True


def die_with_parent(parent_pid: int) -> None:
    """End when the parent ends, however it ends (prctl(2)). Exits at once where it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        raise SystemExit(3)
