"""A corpus without some people's words: shards that hold none are copied as they are, the others are written anew."""

import asyncio
import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from doppel.storage import Storage
from proto.artifacts import PEOPLE_FILE, CorpusManifest, FileEntry, ShardEntry, manifest_key
from proto.errors import ArtifactCorrupt
from services.scraper.adapters.corpora import each
from services.scraper.adapters.reading import CHUNK, holds
from services.scraper.adapters.shards import write_lines
from services.scraper.core.timestamps import ts_key


@dataclass(frozen=True)
class Erased:
    """A corpus that was written anew."""

    manifest: CorpusManifest
    manifest_sha256: str
    removed: int


async def write_without(
    storage: Storage, prefix: str, manifest: CorpusManifest, people: Collection[str], new: str, folder: Path
) -> Erased:
    """Store the corpus under `new` without what these people wrote; the directory of people stays.

    Raises ObjectMissing, ArtifactCorrupt.
    """
    shards: dict[str, ShardEntry | None] = {}

    async def one(shard: ShardEntry) -> None:
        path = folder / Path(shard.name).name
        await storage.fetch_verified(
            f"{prefix}/{shard.name}", shard.sha256, path, limit_bytes=shard.size_bytes
        )
        kept = await asyncio.to_thread(_shard_without, path, shard, frozenset(people))
        shards[shard.name] = kept
        if kept is not None:
            await storage.put_file(f"{new}/{shard.name}", path)
        await asyncio.to_thread(path.unlink)

    await each(manifest.shards, one)
    directory = manifest.file(PEOPLE_FILE)
    data = await storage.get_bytes(
        f"{prefix}/{PEOPLE_FILE}", sha256=directory.sha256, limit_bytes=max(directory.size_bytes, 1)
    )
    await storage.put_bytes(f"{new}/{PEOPLE_FILE}", data)
    kept = [entry for shard in manifest.shards if (entry := shards[shard.name]) is not None]
    removed = manifest.message_count - sum(entry.message_count for entry in kept)
    plain = [FileEntry(name=entry.name, size_bytes=entry.size_bytes, sha256=entry.sha256) for entry in kept]
    changed = manifest.model_copy(
        update={
            "files": (directory, *plain),
            "shards": tuple(kept),
            "message_count": manifest.message_count - removed,
            "content_sha256": "",  # read once more, the history says something else
            "dropped": manifest.dropped | {"forgotten": manifest.dropped.get("forgotten", 0) + removed},
        }
    )
    return Erased(changed, await storage.put_model(manifest_key(new), changed), removed)


def _shard_without(path: Path, shard: ShardEntry, people: frozenset[str]) -> ShardEntry | None:
    """Rewrite the file in place where it must be; None: nothing is left (blocking). Raises ArtifactCorrupt."""
    if not any(holds([path], user_id) for user_id in people):
        return shard
    count, oldest, latest = 0, "", ""

    def lines() -> Iterator[bytes]:
        nonlocal count, oldest, latest
        for line in _lines(path):
            message: dict[str, Any] = json.loads(line)
            if message.get("user_id") in people:
                continue
            ts = str(message["ts"])
            oldest = min(oldest or ts, ts, key=ts_key)
            latest = max(latest or ts, ts, key=ts_key)
            count += 1
            yield line

    fresh = path.with_suffix(".new")
    try:
        entry = write_lines(fresh, shard.name, lines())
    except (ValueError, KeyError) as error:
        raise ArtifactCorrupt(path.name) from error
    if count == shard.message_count:
        fresh.unlink()
        return shard
    fresh.replace(path)
    if not count:
        return None
    return ShardEntry(
        name=entry.name,
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
        channel_id=shard.channel_id,
        message_count=count,
        oldest_ts=oldest,
        latest_ts=latest,
    )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
            for line in io.BufferedReader(plain, CHUNK):  # pyright: ignore[reportArgumentType]
                yield line.removesuffix(b"\n")
    except (OSError, zstandard.ZstdError) as error:
        raise ArtifactCorrupt(path.name) from error
