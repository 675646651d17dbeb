"""Zstandard JSONL files: written with their hash, read one line at a time. Blocking."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import zstandard
from pydantic import ValidationError

from proto.artifacts import FileEntry
from proto.body import Body
from proto.errors import ArtifactCorrupt

LEVEL: Final = 6
LINE_LIMIT: Final = 1024 * 1024

B = TypeVar("B", bound=Body)


class _Hashed(io.RawIOBase):
    """A file that knows the hash and size of what went in."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write, hash, count."""
        self.digest.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def write_lines(path: Path, name: str, lines: Iterable[bytes]) -> FileEntry:
    """Write lines of JSON under `path`; the same lines give the same bytes."""
    file = _Hashed(path)
    try:
        with zstandard.ZstdCompressor(level=LEVEL).stream_writer(file, closefd=False) as packed:  # pyright: ignore[reportArgumentType]
            for line in lines:
                packed.write(line + b"\n")
        return FileEntry(name=name, size_bytes=file.size_bytes, sha256=file.digest.hexdigest())
    finally:
        file.close()


def pack(bodies: Iterable[Body]) -> bytes:
    """The same for a few, in memory."""
    data = b"".join(body.model_dump_json(exclude_none=True).encode() + b"\n" for body in bodies)
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def read_lines(path: Path, model: type[B]) -> Iterator[B]:
    """The bodies of a file. Raises ArtifactCorrupt."""
    try:
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
            text = io.TextIOWrapper(plain, encoding="utf-8", newline="\n")
            while line := text.readline(LINE_LIMIT):
                yield model.model_validate_json(line)
    except (OSError, ValidationError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise ArtifactCorrupt(path.name) from error
