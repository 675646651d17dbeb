"""The entries of a ZIP file, inflated, with every promise of its directory kept or broken. Blocking.

Imports nothing that a small worker process would have to carry. Source: PKWARE's APPNOTE.TXT, 4.3.7 (local header).
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from services.scraper.core.archive import DEFLATED, MIB, STORED, ArchiveRefused, Limits, check_growth

WHOLE_BYTES: Final = 4 * MIB  # an entry up to this is inflated at once
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_GUESS_BYTES: Final = 512  # of a local header with its name and extra field
_CHUNK_BYTES: Final = 256 * 1024
_DAMAGED: Final = "one of its files is damaged"


class Entry(NamedTuple):
    """Where an entry lies and what its directory promises. `day` orders a channel's files."""

    day: bytes
    offset: int
    packed_bytes: int
    size_bytes: int
    crc: int
    compress_type: int


_ENTRY: Final = struct.Struct("<10sQQQIB")


def pack_entry(entry: Entry) -> bytes:
    """A few bytes for each, so that 200,000 fit anywhere."""
    return _ENTRY.pack(*entry)


def unpack_entries(data: bytes) -> list[Entry]:
    """Several, by day."""
    return sorted(Entry._make(fields) for fields in _ENTRY.iter_unpack(data))


class ZipEntries:
    """An opened ZIP file. Everything it raises about its content is `ArchiveRefused`."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.handle = os.open(path, os.O_RDONLY)
        self._limits = limits

    def __enter__(self) -> Self:
        """Use as a context manager: the file is closed at its end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        os.close(self.handle)

    def whole(self, entry: Entry) -> bytes | None:
        """A small entry at once; None: it is no small one, read it in pieces."""
        if max(entry.size_bytes, entry.packed_bytes) > min(WHOLE_BYTES, self._limits.element_characters):
            return None
        check_growth(entry.size_bytes, entry.packed_bytes, self._limits)
        data = self._after_header(entry, entry.packed_bytes)
        if len(data) != entry.packed_bytes:
            raise ArchiveRefused(_DAMAGED)
        if entry.compress_type == DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflater.decompress(data, entry.size_bytes + 1)
            except zlib.error as error:
                raise ArchiveRefused(_DAMAGED) from error
            if not inflater.eof and not (entry.size_bytes == 0 and not data):
                raise ArchiveRefused(_DAMAGED)
        if len(data) != entry.size_bytes or zlib.crc32(data) != entry.crc:
            raise ArchiveRefused(_DAMAGED)
        return data

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Any entry in pieces; that all of it was right is known at the end."""
        crc, size_bytes = 0, 0
        check_growth(entry.size_bytes, entry.packed_bytes, self._limits)  # some say so themselves
        for piece in self._inflated(entry):
            size_bytes += len(piece)
            crc = zlib.crc32(piece, crc)
            check_growth(size_bytes, entry.packed_bytes, self._limits)
            if size_bytes > entry.size_bytes:
                raise ArchiveRefused(_DAMAGED)
            yield piece
        if size_bytes != entry.size_bytes or crc != entry.crc:
            raise ArchiveRefused(_DAMAGED)

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        if entry.compress_type == STORED:
            yield from self._packed(entry)
            return
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(entry):
                rest = packed
                while rest and not inflater.eof:
                    if piece := inflater.decompress(rest, _CHUNK_BYTES):
                        yield piece
                    rest = inflater.unconsumed_tail
            while not inflater.eof and (piece := inflater.decompress(b"", _CHUNK_BYTES)):
                yield piece
        except zlib.error as error:
            raise ArchiveRefused(_DAMAGED) from error
        if not inflater.eof:
            raise ArchiveRefused(_DAMAGED)

    def _packed(self, entry: Entry) -> Iterator[bytes]:
        first = self._after_header(entry, min(entry.packed_bytes, _CHUNK_BYTES))
        at = self._data_at(entry) + len(first)
        left = entry.packed_bytes - len(first)
        while first:
            yield first
            first = os.pread(self.handle, min(left, _CHUNK_BYTES), at) if left else b""
            at, left = at + len(first), left - len(first)
        if left:
            raise ArchiveRefused(_DAMAGED)

    def _after_header(self, entry: Entry, count: int) -> bytes:
        """The first `count` bytes of an entry, mostly with one read."""
        head = os.pread(self.handle, _GUESS_BYTES + count, entry.offset)
        begin = self._header_bytes(head)
        if begin + count > len(head):
            return os.pread(self.handle, count, entry.offset + begin)
        return head[begin : begin + count]

    def _data_at(self, entry: Entry) -> int:
        return entry.offset + self._header_bytes(os.pread(self.handle, _LOCAL.size, entry.offset))

    @staticmethod
    def _header_bytes(head: bytes) -> int:
        if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise ArchiveRefused(_DAMAGED)
        *_, name_bytes, extra_bytes = _LOCAL.unpack_from(head)
        return _LOCAL.size + name_bytes + extra_bytes
