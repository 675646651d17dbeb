"""Bring the prepared base model from the bucket to this machine: verified, once, whoever asks."""

import asyncio
import json
import logging
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from doppel.basemodel.source import model_name
from doppel.storage import ObjectMissing
from proto.artifacts import BaseModelManifest, FileEntry, model_pointer_key
from proto.errors import ArtifactCorrupt, BaseModelCorrupt, BaseModelMissing

log = logging.getLogger(__name__)

MANIFEST_FILE: Final = ".doppel-manifest.json"  # written last: a folder that has it is whole
DOWNLOADS: Final = 4  # at once
STALE_S: Final = 6 * 3600  # a part this old belongs to nobody any more
M = TypeVar("M", bound=BaseModel)


class Bucket(Protocol):
    """What of the storage is needed here."""

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest."""
        ...

    async def fetch_verified(self, key: str, sha256: str, path: Path) -> None:
        """Bring an object to disk, hashed while streaming."""
        ...


@dataclass(frozen=True)
class BaseModelFolder:
    """A whole, verified base model on this machine."""

    folder: Path
    manifest: BaseModelManifest


class BaseModelCache:
    """Base models on this machine's disk. One per process; asks at the same time share one download."""

    def __init__(self, bucket: Bucket, root: Path) -> None:
        self._bucket = bucket
        self._root = root
        self._lock = asyncio.Lock()

    async def fetch(self, base_model: str) -> BaseModelFolder:
        """The folder of what `DOPPEL_BASE_MODEL` names. Waiting while the bucket is away is the caller's business.

        Raises BaseModelMissing, BaseModelCorrupt, BaseModelUnusable and storage errors.
        """
        name = model_name(base_model)
        async with self._lock:
            manifest = await self._manifest(name)
            folder = self._root / f"{name}-{manifest.content_sha256[:16]}"
            if not await asyncio.to_thread(is_whole, folder, manifest):
                await self._download(manifest, folder)
        return BaseModelFolder(folder, manifest)

    async def _manifest(self, name: str) -> BaseModelManifest:
        try:
            return await self._bucket.get_model(BaseModelManifest, model_pointer_key(name))
        except ObjectMissing as error:
            raise BaseModelMissing(name) from error
        except ArtifactCorrupt as error:
            raise BaseModelCorrupt(f"manifest of {name}") from error

    async def _download(self, manifest: BaseModelManifest, folder: Path) -> None:
        part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
        limit = asyncio.Semaphore(DOWNLOADS)

        async def bring(entry: FileEntry) -> None:
            key = f"{manifest.prefix}/{entry.name}"
            try:
                async with limit:
                    await self._bucket.fetch_verified(key, entry.sha256, part / entry.name)
            except ObjectMissing as error:
                raise BaseModelMissing(manifest.name) from error
            except ArtifactCorrupt as error:
                raise BaseModelCorrupt(key) from error

        started = time.monotonic()
        try:
            await asyncio.to_thread(make_room, part)
            async with asyncio.TaskGroup() as group:
                for entry in manifest.files:
                    group.create_task(bring(entry))
            await asyncio.to_thread(take_place, part, folder, manifest)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors  # the first that failed cancelled the others
        finally:
            await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
        log.info(
            "base model fetched",
            extra={"base_model": manifest.name, "s": round(time.monotonic() - started, 1)},
        )


def is_whole(folder: Path, manifest: BaseModelManifest) -> bool:
    """Whether the folder holds these very files (blocking). Hashes were checked on the way in; sizes are now."""
    try:
        found = BaseModelManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
        sizes = {entry.name: (folder / entry.name).stat().st_size for entry in manifest.files}
    except (OSError, ValidationError):
        return False
    return found.content_sha256 == manifest.content_sha256 and all(
        sizes[entry.name] == entry.size_bytes for entry in manifest.files
    )


def make_room(part: Path) -> None:
    """Make an empty folder, and sweep what killed processes left behind (blocking)."""
    part.parent.mkdir(parents=True, exist_ok=True)
    for old in part.parent.glob(".*.part"):
        if time.time() - old.stat().st_mtime > STALE_S:
            shutil.rmtree(old, ignore_errors=True)
    part.mkdir()


def take_place(part: Path, folder: Path, manifest: BaseModelManifest) -> None:
    """Rename the finished folder into place (blocking). Whoever is faster wins: the files are the same."""
    (part / MANIFEST_FILE).write_text(json.dumps(manifest.model_dump(mode="json")), encoding="utf-8")
    if folder.exists() and not is_whole(folder, manifest):
        folder.rename(part / ".damaged")  # leaves with the part
    try:
        part.rename(folder)
    except OSError:
        if not is_whole(folder, manifest):
            raise
