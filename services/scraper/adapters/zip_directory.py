"""The directory of a ZIP file, read as a stream: `zipfile` would hold 200,000 objects at once. Blocking.

Source: PKWARE's APPNOTE.TXT, 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end), 4.5.3 (Zip64 extra field).
"""

import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from services.scraper.core.archive import ArchiveRefused, Limits

_TAIL_BYTES: Final = 65_535 + 22  # the longest comment and the end record
_PIECE_BYTES: Final = 512 * 1024
_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_HEADER: Final = struct.Struct("<4s4BHHHHL2L5HLL")
_MANY16, _MANY32 = 0xFFFF, 0xFFFFFFFF
_BROKEN: Final = "it is no complete ZIP file"


class Listed(NamedTuple):
    """One entry as the directory has it."""

    name: bytes
    flag_bits: int
    compress_type: int
    external_attr: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int  # of its local header, from the file's beginning


class Directory(NamedTuple):
    """Where the directory lies."""

    begin: int
    size_bytes: int
    shift: int  # bytes in front of the archive: a self-extracting one has a program there


def find_directory(handle: int, limits: Limits) -> Directory:
    """Read the end record. Raises ArchiveRefused, also for more entries than are read, before one is."""
    file_bytes = os.fstat(handle).st_size
    tail_at = max(0, file_bytes - _TAIL_BYTES)
    tail = os.pread(handle, _TAIL_BYTES, tail_at)
    at = _end_in(tail)
    _, disk, _, _, count, size_bytes, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    if _MANY16 in (count, disk) or _MANY32 in (size_bytes, offset):
        found = _end64(handle, end)
        if found:
            end, count, size_bytes, offset = found
    if count > limits.entry_count:
        raise ArchiveRefused(f"it holds more than {limits.entry_count} files")
    begin = end - size_bytes
    shift = begin - offset
    if begin < 0 or shift < 0:
        raise ArchiveRefused(_BROKEN)
    return Directory(begin, size_bytes, shift)


def _end_in(tail: bytes) -> int:
    """Where the end record begins: its comment ends the file, unless something was put behind; it may look like one."""
    found: list[int] = []
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) >= at + _END.size:
            if at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
                return at
            found.append(at)
        at = tail.rfind(b"PK\x05\x06", 0, at)
    if not found:
        raise ArchiveRefused(_BROKEN)
    return found[0]


def _end64(handle: int, end: int) -> tuple[int, int, int, int] | None:
    """``(where it lies, count, size, offset)`` of the directory of a large archive."""
    locator = os.pread(handle, _LOCATOR.size, max(0, end - _LOCATOR.size))
    if len(locator) < _LOCATOR.size or not locator.startswith(b"PK\x06\x07"):
        return None
    at = end - _LOCATOR.size - _END64.size
    record = os.pread(handle, _END64.size, at) if at >= 0 else b""
    if len(record) < _END64.size or not record.startswith(b"PK\x06\x06"):
        raise ArchiveRefused(_BROKEN)
    *_, count, size_bytes, offset = _END64.unpack(record)
    return at, count, size_bytes, offset


def list_entries(handle: int, directory: Directory, limits: Limits) -> Iterator[Listed]:
    """Every entry, one at a time. Raises ArchiveRefused."""
    position, held, at, count = directory.begin, b"", 0, 0
    end = directory.begin + directory.size_bytes
    while True:
        if len(held) - at < _HEADER.size + 3 * _MANY16 and position < end:
            piece = os.pread(handle, min(_PIECE_BYTES, end - position), position)
            if not piece:
                raise ArchiveRefused(_BROKEN)
            held, at, position = held[at:] + piece, 0, position + len(piece)
        if at == len(held):
            return
        if len(held) - at < _HEADER.size:
            raise ArchiveRefused(_BROKEN)
        fields = _HEADER.unpack_from(held, at)
        magic, flags, method = fields[0], fields[5], fields[6]
        crc, packed, size, name_bytes, extra_bytes, comment_bytes = fields[9:15]
        attr, offset = fields[17:]
        name_at = at + _HEADER.size
        extra_at = name_at + name_bytes
        at = extra_at + extra_bytes + comment_bytes
        count += 1
        if magic != b"PK\x01\x02" or at > len(held):
            raise ArchiveRefused(_BROKEN)
        if count > limits.entry_count:
            raise ArchiveRefused(f"it holds more than {limits.entry_count} files")
        if _MANY32 in (packed, size, offset):
            size, packed, offset = _large(held[extra_at : extra_at + extra_bytes], size, packed, offset)
        yield Listed(held[name_at:extra_at], flags, method, attr, crc, packed, size, offset + directory.shift)


def _large(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Fields that don't fit into 32 bits stand in an extra field, in this order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            rest = extra[at + 4 : at + 4 + length]
            values = [value for (value,) in struct.iter_unpack("<Q", rest[: len(rest) // 8 * 8])]
            found = [values.pop(0) if each == _MANY32 and values else each for each in (size, packed, offset)]
            return found[0], found[1], found[2]
        at += 4 + length
    return size, packed, offset
