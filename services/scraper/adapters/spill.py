"""Candidates on disk, so that memory does not grow with how much somebody wrote. Blocking."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from services.scraper.core.samples import Candidate
from services.scraper.core.selection import Entry
from services.scraper.core.timestamps import ts_key

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Candidate)


class Spill:
    """A file of candidates: written once, then read at random. Closed by leaving its block."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("w+b")
        self._offset = 0

    def __enter__(self) -> "Spill":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close; the file goes with its folder."""
        self._file.close()

    def write(self, candidates: Iterable[Candidate]) -> Iterator[Entry]:
        """Keep candidates; an entry says where each one lies."""
        for candidate in candidates:
            data = _ENCODER.encode(candidate)
            self._file.write(data)
            yield Entry(
                ts_key(candidate.ts),
                candidate.channel_id,
                candidate.conversation,
                len(candidate.parts),
                self._offset,
                len(data),
            )
            self._offset += len(data)

    def reader(self) -> Callable[[Entry], Candidate]:
        """All is written: read from now on."""
        self._file.flush()
        handle = self._file.fileno()
        return lambda entry: _DECODER.decode(os.pread(handle, entry.size, entry.offset))
