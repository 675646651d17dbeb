"""Zstandard JSONL files: written with their hash, read one line at a time. Blocking."""

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import zstandard
from pydantic import ValidationError

from proto.artifacts import FileEntry, ShardEntry
from proto.body import Body
from proto.errors import ArtifactCorrupt
from services.scraper.adapters.packing import BATCH, Packed, Shard, write_batches

LINE_LIMIT = 1024 * 1024

B = TypeVar("B", bound=Body)


def write_lines(path: Path, name: str, lines: Iterable[bytes]) -> FileEntry:
    """Write lines of JSON under `path`; the same lines give the same bytes."""
    each = iter(lines)
    batches = (b"\n".join([*batch, b""]) for batch in iter(lambda: list(islice(each, BATCH)), []))
    return file_entry(write_batches(path, name, batches))


def file_entry(packed: Packed) -> FileEntry:
    """As a manifest lists it."""
    return FileEntry(name=packed.name, size_bytes=packed.size_bytes, sha256=packed.sha256)


def shard_entry(shard: Shard) -> ShardEntry:
    """As a corpus's manifest lists it."""
    return ShardEntry(
        name=shard.file.name,
        size_bytes=shard.file.size_bytes,
        sha256=shard.file.sha256,
        channel_id=shard.channel_id,
        message_count=shard.message_count,
        oldest_ts=shard.oldest_ts,
        latest_ts=shard.latest_ts,
    )


def read_lines(path: Path, model: type[B]) -> Iterator[B]:
    """The bodies of a file. Raises ArtifactCorrupt."""
    try:
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
            text = io.TextIOWrapper(plain, encoding="utf-8", newline="\n")
            while line := text.readline(LINE_LIMIT):
                yield model.model_validate_json(line)
    except (OSError, ValidationError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise ArtifactCorrupt(path.name) from error
