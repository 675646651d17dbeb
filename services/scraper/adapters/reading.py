"""A corpus's shards as the few fields that cutting needs. Blocking."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from proto.errors import ArtifactCorrupt
from services.scraper.adapters.work import Work
from services.scraper.core.said import Said, decode_line

CHUNK: Final = 1 << 20
COUNT_EVERY: Final = 250  # messages


def read_said(paths: Sequence[Path], work: Work) -> Iterator[Said]:
    """The messages of one channel's shards, in order. Raises ArtifactCorrupt, Stopped."""
    for path in paths:
        uncounted = 0
        try:
            with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
                for line in io.BufferedReader(plain, CHUNK):  # pyright: ignore[reportArgumentType]
                    yield decode_line(line)
                    uncounted += 1
                    if uncounted == COUNT_EVERY:
                        work.advance(uncounted)
                        uncounted = 0
        except (OSError, msgspec.DecodeError, zstandard.ZstdError) as error:
            raise ArtifactCorrupt(path.name) from error
        work.advance(uncounted)


def holds(paths: Sequence[Path], user_id: str) -> bool:
    """Does anybody of that id occur in these shards? Far cheaper than to read them. Raises ArtifactCorrupt."""
    needle = f'"{user_id}"'.encode()
    for path in paths:
        tail = b""
        try:
            with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
                while chunk := plain.read(CHUNK):
                    if needle in tail + chunk:
                        return True
                    tail = chunk[-len(needle) :]
        except (OSError, zstandard.ZstdError) as error:
            raise ArtifactCorrupt(path.name) from error
    return False
