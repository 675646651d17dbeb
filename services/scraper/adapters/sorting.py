"""Sorts rows on disk, so that memory does not grow with the history: sorted runs, merged. Blocking.

What fits the budget is sorted in memory and never written. Runs are packed: scratch is slower than Zstandard's first
level, and smaller.
"""

import heapq
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import zstandard

from services.scraper.core.rows import is_reply, join_copies

RUNS_AT_ONCE: Final = 48  # files merged side by side
ROW_OVERHEAD: Final = 41 + 8  # of a bytes object and the list that holds it
_LEVEL: Final = 1
_BATCH: Final = 512
_BUFFER: Final = 64 * 1024


class ScratchFull(ValueError):
    """The rows outgrow what an upload may take of the disk."""


class Scratch:
    """A folder for runs, with a limit. One for all that one process sorts."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._left_bytes = limit_bytes
        self._number = 0

    def write(self, rows: Iterable[bytes]) -> Path:
        """Rows in order → a run. Raises ScratchFull."""
        self._number += 1
        path = self._folder / f"run-{self._number:06d}"
        rows = iter(rows)
        with path.open("wb") as file:
            packer = zstandard.ZstdCompressor(level=_LEVEL).chunker(chunk_size=_BUFFER)
            while batch := list(islice(rows, _BATCH)):
                batch.append(b"")
                self._put(file, packer.compress(b"\n".join(batch)))
            self._put(file, packer.finish())
        return path

    def _put(self, file: io.BufferedWriter, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self._left_bytes -= len(chunk)
            if self._left_bytes < 0:
                raise ScratchFull
            file.write(chunk)

    def read(self, path: Path) -> Iterator[bytes]:
        """The rows of a run, once: it is gone afterwards."""
        with path.open("rb") as file:
            plain = zstandard.ZstdDecompressor().stream_reader(file, read_size=_BUFFER, closefd=False)
            for row in io.BufferedReader(plain, _BUFFER):  # pyright: ignore[reportArgumentType]
                yield row[:-1]
            self._left_bytes += file.tell()
        path.unlink()


class Runs:
    """Rows in any order, which leave in order."""

    def __init__(self, scratch: Scratch, budget_bytes: int, beat: Callable[[], None]) -> None:
        self._scratch = scratch
        self._budget = budget_bytes
        self._beat = beat
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._runs: list[Path] = []

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

    def sorted(self) -> Iterator[bytes]:
        """All of them, once; what is held in memory is let go on the way."""
        if not self._runs:
            self._held.sort(reverse=True)
            while self._held:
                yield self._held.pop()
            return
        if self._held:
            self._spill()
        while len(self._runs) > RUNS_AT_ONCE:
            self._merge(self._runs[:RUNS_AT_ONCE])
        yield from self._merged(self._runs)

    def _spill(self) -> None:
        self._held.sort()
        self._runs.append(self._scratch.write(self._held))
        self._held, self._held_bytes = [], 0
        if len(self._runs) >= 2 * RUNS_AT_ONCE:
            self._merge(self._runs[:RUNS_AT_ONCE])

    def _merge(self, runs: list[Path]) -> None:
        """Some runs → one, at the end of the line."""
        self._runs = [*self._runs[len(runs) :], self._scratch.write(self._merged(runs))]

    def _merged(self, runs: list[Path]) -> Iterator[bytes]:
        for number, row in enumerate(heapq.merge(*map(self._scratch.read, runs))):
            if number % _BATCH == 0:
                self._beat()
            yield row


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

    def drain(self, dropped: Counter[str]) -> Iterator[bytes]:
        """Rows of the second form; then it is empty and can be used again. Raises ScratchFull."""
        rows, self._rows = self._rows, Runs(self._scratch, self._budget, self._beat)
        spilled = rows.spilled
        kept = join_copies(rows.sorted(), dropped)
        if not spilled:
            final = list(kept)
            final.sort(reverse=True)
            while final:
                yield final.pop()
            return
        # In the order of time all but replies are in the corpus's order already; only replies are sorted once more.
        replies = Runs(self._scratch, self._budget, self._beat)
        others = self._scratch.write(_set_aside(kept, replies))
        yield from heapq.merge(self._scratch.read(others), replies.sorted())


def _set_aside(rows: Iterable[bytes], replies: Runs) -> Iterator[bytes]:
    """Replies go to `replies`, the others go on."""
    aside: list[bytes] = []
    for row in rows:
        if is_reply(row):
            aside.append(row)
            if len(aside) >= _BATCH:
                replies.extend(aside)
                aside = []
        else:
            yield row
    replies.extend(aside)
