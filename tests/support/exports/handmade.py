"""ZIP files written byte by byte, so that every promise in them can be a lie.

Source: PKWARE's APPNOTE.TXT, 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end).
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.exports.people import TEAM

USERS: Final = [
    {"id": "U0ADA", "team_id": TEAM, "name": "ada"},
    {"id": "U0BRAM", "team_id": TEAM, "name": "bram"},
]
CHANNELS: Final = [{"id": "C0ENG", "name": "eng"}]
SECRET: Final = "BOARDONLY"  # a word of somebody's that no error may repeat


def said(number: int, text: str = f"hello {SECRET}", **fields: Any) -> dict[str, Any]:
    """A message."""
    return {
        "type": "message",
        "user": "U0ADA",
        "ts": f"{1_700_000_000 + number}.000100",
        "text": text,
    } | fields


@dataclass(frozen=True)
class Entry:
    """One file of an archive. What is None is as it should be."""

    name: bytes
    data: bytes
    packed: bytes | None = None
    method: int = 8
    flags: int = 0x800
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    attributes: int = 0o100644 << 16


def as_entries(files: dict[str, Any]) -> list[Entry]:
    """Names and contents → entries: what is no bytes becomes JSON."""
    return [
        Entry(name.encode(), content if isinstance(content, bytes) else json.dumps(content).encode())
        for name, content in files.items()
    ]


def base(**more: Any) -> dict[str, Any]:
    """The least that an export holds, with some of it replaced: ``base(users_json=...)``."""
    files = {"channels.json": CHANNELS, "users.json": USERS, "eng/2024-01-01.json": [said(1)]}
    return files | {name.replace("_json", ".json"): content for name, content in more.items()}


def deflate(data: bytes, level: int = 6) -> bytes:
    """Raw, as a ZIP holds it."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def local_header(entry: Entry, packed: bytes, extra_bytes: int = 0) -> bytes:
    """What stands in front of a file's data."""
    sizes = len(packed) if entry.packed_size is None else entry.packed_size
    size = len(entry.data) if entry.size is None else entry.size
    crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
    head = (
        b"PK\x03\x04",
        20,
        entry.flags,
        entry.method,
        0,
        0,
        crc,
        sizes,
        size,
        len(entry.name),
        extra_bytes,
    )
    return struct.pack("<4s5H3L2H", *head) + entry.name


def central_header(entry: Entry, packed_bytes: int, offset: int) -> bytes:
    """A line of the directory."""
    crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
    sizes = packed_bytes if entry.packed_size is None else entry.packed_size
    size = len(entry.data) if entry.size is None else entry.size
    at = offset if entry.offset is None else entry.offset
    head = (b"PK\x01\x02", 20, 3, 20, 0, entry.flags, entry.method, 0, 0, crc, sizes, size)
    tail = (len(entry.name), 0, 0, 0, 0, entry.attributes, at)
    return struct.pack("<4s4B4H3L5H2L", *head, *tail) + entry.name


def end_record(count: int, directory_bytes: int, offset: int) -> bytes:
    """The last record, with a Zip64 one before it where a number doesn't fit."""
    short = (
        min(count, 0xFFFF),
        min(count, 0xFFFF),
        min(directory_bytes, 0xFFFFFFFF),
        min(offset, 0xFFFFFFFF),
    )
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *short, 0)
    if count < 0xFFFF and offset < 0xFFFFFFFF:
        return end
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, directory_bytes, offset)
    return large + struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + directory_bytes, 1) + end


def write_entries(path: Path, entries: Iterable[Entry], count: int | None = None) -> Path:
    """Write an archive; `count`: what its end claims to hold."""
    directory = bytearray()
    number = offset = 0
    with path.open("wb") as file:
        for entry in entries:
            packed = entry.packed
            if packed is None:
                packed = deflate(entry.data) if entry.method == 8 else entry.data
            directory += central_header(entry, len(packed), offset)
            offset += file.write(local_header(entry, packed) + packed)
            number += 1
        file.write(directory)
        file.write(end_record(number if count is None else count, len(directory), offset))
    return path


def write(path: Path, files: dict[str, Any]) -> Path:
    """An honest archive of these files."""
    return write_entries(path, as_entries(files))


def write_same_bytes(path: Path, count: int, data: bytes) -> Path:
    """Many names of one file: the directory points at the same local header again and again."""
    entries = as_entries(base())
    shared = Entry(b"eng/2023-01-01.json", data)
    offset = sum(len(local_header(each, b"") + deflate(each.data)) for each in entries)
    more = [
        Entry(f"eng/{2000 + n // 300}-01-{n % 300:02d}.json".encode()[:19], data, packed=b"", offset=offset)
        for n in range(count)
    ]
    packed = deflate(data)
    directory = bytearray()
    with path.open("wb") as file:
        for each in entries:
            body = deflate(each.data)
            directory += central_header(each, len(body), file.tell())
            file.write(local_header(each, body) + body)
        file.write(local_header(shared, packed) + packed)
        for each in more:
            directory += central_header(each, len(packed), offset)
        end = file.tell()
        file.write(directory)
        file.write(end_record(len(entries) + count, len(directory), end))
    return path


def write_quoted(path: Path, count: int, data: bytes) -> Path:
    """Files that overlap: each begins with a stored block that quotes the next one's header.

    Source: David Fifield, "A better zip bomb" (WOOT 2019), section "Quoting local file headers".
    """
    packed, content = deflate(data, 9), data
    quoted: list[tuple[Entry, bytes]] = []
    head = tail = b""
    for number in reversed(range(count)):
        name = f"eng/2001-01-{number % 100:02d}.json".encode()
        entry = Entry(name, content)
        body = struct.pack("<BHH", 0, len(head), len(head) ^ 0xFFFF) + tail if quoted else packed
        head = local_header(entry, body)
        quoted.append((entry, body))
        tail = head + body
        content = head + content
    entries = as_entries(base())
    directory = bytearray()
    with path.open("wb") as file:
        for each in entries:
            body = deflate(each.data)
            directory += central_header(each, len(body), file.tell())
            file.write(local_header(each, body) + body)
        begin = file.tell()
        file.write(tail)
        for entry, body in quoted:
            at = begin + len(tail) - len(body) - len(local_header(entry, body))
            directory += central_header(entry, len(body), at)
        end = file.tell()
        file.write(directory)
        file.write(end_record(len(entries) + count, len(directory), end))
    return path


def day_names(count: int) -> Iterator[str]:
    """So many day files of #eng."""
    for number in range(count):
        yield f"eng/{1000 + number // 336:04d}-{number // 28 % 12 + 1:02d}-{number % 28 + 1:02d}.json"
