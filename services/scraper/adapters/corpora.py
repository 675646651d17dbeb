"""Corpora in the bucket: stored objects first, manifest last; fetched by hash."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from doppel.storage import ObjectMissing, Storage
from proto.artifacts import PEOPLE_FILE, CorpusManifest, FileEntry, manifest_key
from proto.conversation import Person
from proto.errors import ArtifactCorrupt
from proto.scrape import Window
from services.scraper.adapters.building import Built

T = TypeVar("T")
AT_ONCE: Final = 4
_PEOPLE: TypeAdapter[list[Person]] = TypeAdapter(list[Person])


async def store_corpus(
    storage: Storage,
    prefix: str,
    built: Built,
    *,
    corpus_id: UUID,
    team_id: str,
    source: str,
    window: Window,
    created_at: datetime,
) -> str:
    """Upload a corpus; returns the manifest's SHA-256, which the row will name."""
    files = [built.people, *(_plain(shard) for shard in built.shards)]
    await each(files, lambda entry: _upload(storage, prefix, built.folder, entry))
    manifest = CorpusManifest(
        created_at=created_at,
        files=tuple(files),
        corpus_id=corpus_id,
        team_id=team_id,
        source=source,
        shards=built.shards,
        channels=built.channels,
        message_count=built.message_count,
        person_count=built.person_count,
        content_sha256=built.content_sha256,
        window=window,
        dropped=built.dropped,
    )
    return await storage.put_model(manifest_key(prefix), manifest)


async def fetch_manifest(storage: Storage, prefix: str, manifest_sha256: str) -> CorpusManifest:
    """What a corpus holds. Raises ArtifactCorrupt."""
    try:
        return await storage.get_model(CorpusManifest, manifest_key(prefix), sha256=manifest_sha256)
    except (ObjectMissing, ValueError) as error:
        raise ArtifactCorrupt("the corpus") from error


async def fetch_people(
    storage: Storage, prefix: str, manifest_sha256: str
) -> tuple[CorpusManifest, list[Person]]:
    """Manifest and directory of a corpus. Raises ArtifactCorrupt."""
    manifest = await fetch_manifest(storage, prefix, manifest_sha256)
    try:
        entry = manifest.file(PEOPLE_FILE)
        data = await storage.get_bytes(
            f"{prefix}/{PEOPLE_FILE}", sha256=entry.sha256, limit_bytes=max(entry.size_bytes, 1)
        )
        return manifest, await asyncio.to_thread(_PEOPLE.validate_json, data)
    except (ObjectMissing, KeyError, ValueError) as error:
        raise ArtifactCorrupt("the corpus") from error


async def fetch_shards(storage: Storage, prefix: str, manifest: CorpusManifest, folder: Path) -> list[Path]:
    """Bring every shard to disk, in the corpus's order. Raises ArtifactCorrupt."""
    paths = [folder / Path(shard.name).name for shard in manifest.shards]

    async def fetch(number: int) -> None:
        shard = manifest.shards[number]
        try:
            await storage.fetch_verified(
                f"{prefix}/{shard.name}", shard.sha256, paths[number], limit_bytes=shard.size_bytes
            )
        except ObjectMissing as error:
            raise ArtifactCorrupt("the corpus") from error

    await each(range(len(paths)), fetch)
    return paths


async def _upload(storage: Storage, prefix: str, folder: Path, entry: FileEntry) -> None:
    await storage.put_file(f"{prefix}/{entry.name}", folder / Path(entry.name).name)


async def each(things: Iterable[T], call: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE) -> None:
    """Call for every one of them, so many side by side."""
    limit = asyncio.Semaphore(at_once)

    async def one(thing: T) -> None:
        async with limit:
            await call(thing)

    async with asyncio.TaskGroup() as group:
        for thing in things:
            group.create_task(one(thing))


def _plain(entry: FileEntry) -> FileEntry:
    return FileEntry(name=entry.name, size_bytes=entry.size_bytes, sha256=entry.sha256)
