"""Sorts rows on disk, so that memory does not grow with the history: sorted runs, merged. Blocking.

What fits the budget is sorted in memory and never written. Rows travel in batches: a loop of Python's for each of five
million is what takes the time. Runs are packed: a disk is slower than Zstandard's fast level, and smaller.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import zstandard

from services.scraper.core.rows import Copies, set_replies_aside

Batches = Iterator[list[bytes]]

BATCH: Final = 512  # rows
RUNS_AT_ONCE: Final = 32  # files merged side by side
ROW_OVERHEAD: Final = 41 + 8  # of a bytes object and the list that holds it
_READ_BYTES: Final = 128 * 1024
# Fast rather than small; the window is small because as many are held as are merged.
_SMALL: Final = zstandard.ZstdCompressionParameters.from_level(-5, window_log=17)


class ScratchFull(ValueError):
    """The rows outgrow what an upload may take of the disk."""


class Scratch:
    """A folder for runs, with a limit. One for all that one process sorts."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._left_bytes = limit_bytes
        self._number = 0

    def write(self, batches: Iterable[list[bytes]]) -> Path:
        """Rows in order → a run. Raises ScratchFull."""
        self._number += 1
        path = self._folder / f"run-{self._number:06d}"
        packer = zstandard.ZstdCompressor(compression_params=_SMALL).compressobj()
        with path.open("wb") as file:

            def put(data: bytes) -> None:
                self._left_bytes -= len(data)
                if self._left_bytes < 0:
                    raise ScratchFull
                file.write(data)

            for rows in batches:
                if rows:
                    put(packer.compress(b"\n".join(rows) + b"\n"))
            put(packer.flush())
        return path

    def read(self, path: Path) -> Batches:
        """The rows of a run, once: it is gone afterwards."""
        with path.open("rb") as file:
            plain = zstandard.ZstdDecompressor().stream_reader(file, read_size=_READ_BYTES, closefd=False)
            rest = b""
            while data := plain.read(_READ_BYTES):
                *rows, rest = (rest + data).split(b"\n")
                if rows:
                    yield rows
            self._left_bytes += file.tell()
        path.unlink()


class Run(NamedTuple):
    """A file of rows in order."""

    first: bytes
    last: bytes
    path: Path


class Runs:
    """Rows in any order, which leave in order."""

    def __init__(self, scratch: Scratch, budget_bytes: int, beat: Callable[[], None]) -> None:
        self._scratch = scratch
        self._budget = budget_bytes
        self._beat = beat
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._runs: list[Run] = []

    @property
    def spilled(self) -> bool:
        """Does some of it lie on disk?"""
        return bool(self._runs)

    def extend(self, rows: list[bytes]) -> None:
        """Take rows. Raises ScratchFull."""
        self._held += rows
        self._held_bytes += sum(map(len, rows)) + ROW_OVERHEAD * len(rows)
        if self._held_bytes > self._budget:
            self._spill()

    def sorted(self) -> Batches:
        """All of them, once; what is held in memory is let go on the way."""
        if not self._runs:
            yield from in_order(self._held)
            return
        if self._held:
            self._spill()
        for rows in chain.from_iterable(map(self._merged, _neighbours(self._runs))):
            self._beat()
            yield rows

    def _spill(self) -> None:
        self._held.sort()
        first, last = self._held[0], self._held[-1]
        batches = (self._held[at : at + BATCH] for at in range(0, len(self._held), BATCH))
        self._runs.append(Run(first, last, self._scratch.write(batches)))
        self._held, self._held_bytes = [], 0

    def _merged(self, runs: list[Run]) -> Batches:
        """Runs that overlap, as one. No more files are open than are merged at once."""
        while len(runs) > RUNS_AT_ONCE:
            some, runs = runs[:RUNS_AT_ONCE], runs[RUNS_AT_ONCE:]
            last = max(run.last for run in some)
            runs.append(Run(some[0].first, last, self._scratch.write(self._merged(some))))
            self._beat()
        return merge(self._scratch.read(run.path) for run in runs)


def in_order(rows: list[bytes]) -> Batches:
    """Sort, and let go of what was given."""
    rows.sort(reverse=True)
    while rows:
        batch = rows[-BATCH:]
        del rows[-BATCH:]
        batch.reverse()
        yield batch


def _neighbours(runs: list[Run]) -> Iterator[list[Run]]:
    """Runs that overlap, together. Days come in order, so that mostly each stands alone and nothing is merged."""
    together: list[Run] = []
    last = b""
    for run in sorted(runs):
        if together and run.first > last:
            yield together
            together = []
        together.append(run)
        last = max(last, run.last)
    if together:
        yield together


def merge(streams: Iterable[Batches]) -> Batches:
    """Sorted streams as one. What the batches at hand cover is sorted together: no row is compared in Python."""
    heads = [(rows, stream) for stream in streams if (rows := next(stream, None))]
    while len(heads) > 1:
        covered = min(rows[-1] for rows, _ in heads)
        ready: list[bytes] = []
        left: list[tuple[list[bytes], Batches]] = []
        for rows, stream in heads:
            end = bisect_right(rows, covered)
            ready += rows[:end]
            if rest := rows[end:] or next(stream, None):
                left.append((rest, stream))
        ready.sort()
        yield ready
        heads = left
    for rows, stream in heads:
        yield rows
        yield from stream


class Sorter:
    """Rows of messages (`core.rows`), copies and all; they leave in a corpus's order, each message once."""

    def __init__(self, folder: Path, budget_bytes: int, scratch_bytes: int, beat: Callable[[], None]) -> None:
        """`beat` is called from time to time while nothing else is heard: raise in it to stop."""
        self._scratch = Scratch(folder, scratch_bytes)
        self._budget = budget_bytes
        self._beat = beat
        self._rows = Runs(self._scratch, budget_bytes, beat)

    def extend(self, rows: list[bytes]) -> None:
        """Take rows of the first form. Raises ScratchFull."""
        self._rows.extend(rows)

    def drain(self, dropped: Counter[str]) -> Batches:
        """Rows of the second form; then it is empty and can be used again. Raises ScratchFull."""
        rows, self._rows = self._rows, Runs(self._scratch, self._budget, self._beat)
        kept = _without_copies(rows, dropped)
        if not rows.spilled:
            yield from in_order([row for batch in kept for row in batch])
            return
        # In the order of time all but replies are in the corpus's order already; only replies are sorted once more.
        replies = Runs(self._scratch, self._budget, self._beat)
        others = self._scratch.write(_others(kept, replies))
        yield from merge((self._scratch.read(others), replies.sorted()))


def _without_copies(rows: Runs, dropped: Counter[str]) -> Batches:
    copies = Copies(dropped)
    for batch in rows.sorted():
        yield copies.join(batch)
    yield copies.rest()


def _others(batches: Batches, replies: Runs) -> Batches:
    """Replies go to `replies`, the others go on."""
    for rows in batches:
        others, aside = set_replies_aside(rows)
        replies.extend(aside)
        yield others
