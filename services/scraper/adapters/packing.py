"""Writes shards: lines of JSON, packed and hashed on the way to disk. Blocking.

Imports nothing that a small worker process would have to carry: the contract's entries are made in `shards`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from services.scraper.core.rows import CHANNEL, LINE, TS
from services.scraper.core.timestamps import ts_of_key

LEVEL: Final = 1  # the third makes a shard 7 % smaller and takes two thirds longer
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
    rows: Iterable[list[bytes]], channels: Mapping[bytes, str], folder: Path, wrote: Callable[[int], None]
) -> Iterator[Shard]:
    """Rows in a corpus's order (`core.rows`, second form) → shards. `channels`: a row's prefix → channel id."""
    for prefix, batches in groupby(_of_one_channel(rows), key=lambda batch: batch[0][:CHANNEL]):
        yield from _write_channel(_even(batches), channels[prefix], folder, wrote)


def _of_one_channel(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    for rows in batches:
        if rows and rows[0][:CHANNEL] == rows[-1][:CHANNEL]:
            yield rows
        else:
            for _, some in groupby(rows, key=lambda row: row[:CHANNEL]):
                yield list(some)


def _even(batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Batches of one size, so that a file's bytes don't depend on how its rows were sorted."""
    held: list[bytes] = []
    for rows in batches:
        held += rows
        while len(held) >= BATCH:
            yield held[:BATCH]
            del held[:BATCH]
    if held:
        yield held


def _write_channel(
    batches: Iterator[list[bytes]], channel_id: str, folder: Path, wrote: Callable[[int], None]
) -> Iterator[Shard]:
    for number, first in enumerate(batches):
        shard = chain((first,), islice(batches, SHARD_MESSAGES // BATCH - 1))
        yield _write_shard(shard, channel_id, number, folder, wrote)


def _write_shard(
    batches: Iterable[list[bytes]], channel_id: str, number: int, folder: Path, wrote: Callable[[int], None]
) -> Shard:
    oldest, latest, count = b"\xff", b"", 0

    def lines() -> Iterator[bytes]:
        nonlocal oldest, latest, count
        for rows in batches:
            keys = [row[TS:LINE] for row in rows]
            oldest, latest = min(oldest, *keys), max(latest, *keys)
            count += len(rows)
            wrote(len(rows))
            yield b"\n".join([row[LINE:] for row in rows]) + b"\n"

    name = f"{channel_id}-{number:04d}.jsonl.zst"
    file = write_batches(folder / name, f"shards/{name}", lines())
    return Shard(file, channel_id, count, ts_of_key(oldest.decode()), ts_of_key(latest.decode()))
