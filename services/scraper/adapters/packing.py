"""Writes shards: lines of JSON, packed and hashed on the way to disk. Blocking.

Imports nothing that a small worker process would have to carry: the contract's entries are made in `shards`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from services.scraper.core.rows import CHANNEL, LINE, TS
from services.scraper.core.timestamps import ts_of_key

LEVEL: Final = 3
SHARD_MESSAGES: Final = 100_000
BATCH: Final = 500
_CHUNK_BYTES: Final = 128 * 1024


class Packed(msgspec.Struct, frozen=True):
    """A file as it was written."""

    name: str
    size_bytes: int
    sha256: str


class Shard(msgspec.Struct, frozen=True):
    """A file of one channel's messages."""

    file: Packed
    channel_id: str
    message_count: int
    oldest_ts: str
    latest_ts: str


def write_batches(path: Path, name: str, batches: Iterable[bytes]) -> Packed:
    """Write whole lines under `path`; the same batches give the same bytes."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("wb") as file:
        packer = zstandard.ZstdCompressor(level=LEVEL).chunker(chunk_size=_CHUNK_BYTES)

        def put(chunks: Iterable[bytes]) -> None:
            nonlocal size_bytes
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                file.write(chunk)

        for batch in batches:
            put(packer.compress(batch))
        put(packer.finish())
    return Packed(name, size_bytes, digest.hexdigest())


def write_shards(
    rows: Iterable[bytes], channels: Mapping[bytes, str], folder: Path, wrote: Callable[[int], None]
) -> Iterator[Shard]:
    """Rows in a corpus's order (`core.rows`, second form) → shards. `channels`: a row's prefix → channel id."""
    for prefix, lines in groupby(rows, key=lambda row: row[:CHANNEL]):
        yield from _write_channel(lines, channels[prefix], folder, wrote)


def _write_channel(
    rows: Iterator[bytes], channel_id: str, folder: Path, wrote: Callable[[int], None]
) -> Iterator[Shard]:
    number = 0
    while first := list(islice(rows, BATCH)):
        yield _write_shard(first, rows, channel_id, number, folder, wrote)
        number += 1


def _write_shard(
    first: list[bytes],
    more: Iterator[bytes],
    channel_id: str,
    number: int,
    folder: Path,
    wrote: Callable[[int], None],
) -> Shard:
    oldest = latest = first[0][TS:LINE]
    count = 0

    def batches() -> Iterator[bytes]:
        nonlocal oldest, latest, count
        batch = first
        while batch:
            keys = [row[TS:LINE] for row in batch]
            oldest, latest = min(oldest, *keys), max(latest, *keys)
            count += len(batch)
            wrote(len(batch))
            lines = [row[LINE:] for row in batch]
            lines.append(b"")
            yield b"\n".join(lines)
            batch = list(islice(more, min(BATCH, SHARD_MESSAGES - count)))

    name = f"{channel_id}-{number:04d}.jsonl.zst"
    file = write_batches(folder / name, f"shards/{name}", batches())
    return Shard(file, channel_id, count, ts_of_key(oldest.decode()), ts_of_key(latest.decode()))
