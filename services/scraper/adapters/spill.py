"""Candidates on disk, so that memory does not grow with how much somebody wrote. Blocking."""

import mmap
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
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "Spill":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close; the file goes with its folder."""
        if self._map is not None:
            self._map.close()
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
        if self._offset:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

        def read(entry: Entry) -> Candidate:
            assert self._map is not None
            return _DECODER.decode(self._map[entry.offset : entry.offset + entry.size])

        return read
