"""Blocking work beside the loop: it can be asked to stop, reports how far it is, and has a folder of its own."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
CHECK_EVERY: Final = 500  # messages between two looks at the stop sign
_SCRATCH: Final = "doppel-scrape-"
END_S: Final = 30.0  # a thread that was asked to stop ends within this

Stage = Literal["reading", "writing", "cutting"]


class Stopped(Exception):
    """The thread was asked to stop."""


@dataclass
class Work:
    """One scrape under way: how far it is, and whether it should stop. Written by one thread at a time."""

    stage: Stage = "reading"
    step: int = 0
    total: int = 0
    channels_done: int = 0
    channel_count: int = 0
    requests: int = 0
    slow_mode: bool = False
    forecast_s: Callable[[], float] | None = field(default=None, repr=False)  # of the stage `reading`
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def enter(self, stage: Stage, total: int = 0) -> None:
        """Begin a stage."""
        self.stage, self.step, self.total = stage, 0, total

    def advance(self, count: int = 1) -> None:
        """So many messages more; none: only look. Raises Stopped, from time to time, once asked to stop."""
        before, self.step = self.step, self.step + count
        if (not count or self.step // CHECK_EVERY != before // CHECK_EVERY) and self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()


class Threads:
    """The scraper's own threads, so that reading an archive starves nothing else."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="scrape")

    async def run(self, work: Work, call: Callable[[], T]) -> T:
        """Run `call` in a thread. When cancelled, wait for the thread's end: its folder is about to go."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            work.stop()
            done, _ = await asyncio.wait([future], timeout=END_S)
            if not done:
                log.warning("a thread did not stop in time")
            elif not future.cancelled():
                future.exception()  # seen; the cancellation is what counts
            raise

    def close(self) -> None:
        """Let them go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextlib.asynccontextmanager
async def scratch(parent: Path | None) -> AsyncGenerator[Path]:
    """A folder that is gone afterwards. What a killed holder left, and nobody locks any more, goes first."""
    home = parent or Path(tempfile.gettempdir())
    folder, lock = await asyncio.to_thread(_make_scratch, home)
    try:
        yield folder
    finally:
        await asyncio.to_thread(_remove_scratch, folder, lock)


def _make_scratch(home: Path) -> tuple[Path, int]:
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):  # locked: somebody works there; gone: somebody was faster
            lock = _lock(left)
            _remove_scratch(left, lock)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=home))
        with contextlib.suppress(OSError):  # swept by another replica before it was locked
            return folder, _lock(folder)


def _lock(folder: Path) -> int:
    """Hold the folder for as long as this process lives. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove_scratch(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
