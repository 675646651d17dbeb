"""Bring the prepared base model from the bucket to this machine: verified, once, whoever asks.

Once per machine: a lock file beside the folder lets one process download, the others wait for its folder. What a
killed or broken-off download left is gone on with.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from doppel.basemodel.source import model_name
from doppel.storage import ObjectMissing
from doppel.transient import innermost
from proto.artifacts import BaseModelManifest, FileEntry, model_pointer_key
from proto.errors import ArtifactCorrupt, BaseModelCorrupt, BaseModelMissing

log = logging.getLogger(__name__)

MANIFEST_FILE: Final = ".doppel-manifest.json"  # written last: a folder that has it is whole
DOWNLOADS: Final = 4  # at once
STALE_S: Final = 24 * 3600  # a part this old belongs to nobody any more
LOCK_POLL_S: Final = 0.5
REPORT_S: Final = 10.0
MIB: Final = 1024 * 1024
M = TypeVar("M", bound=BaseModel)
Report = Callable[[int, int], None]


class Bucket(Protocol):
    """What of the storage is needed here."""

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest."""
        ...

    async def fetch_resumed(
        self, key: str, sha256: str, path: Path, *, size_bytes: int, show: Callable[[int], None]
    ) -> None:
        """Bring an object to disk, hashed, going on where an earlier try stopped."""
        ...


@dataclass(frozen=True)
class BaseModelFolder:
    """A whole, verified base model on this machine."""

    folder: Path
    manifest: BaseModelManifest


@dataclass
class Progress:
    """How much of a download is here. Counted by the storage's threads, read by the loop."""

    total_bytes: int
    report: Report
    came_bytes: dict[str, int] = field(default_factory=dict[str, int])

    def of(self, name: str) -> Callable[[int], None]:
        """What counts one file."""
        self.came_bytes[name] = 0

        def show(more: int) -> None:
            self.came_bytes[name] += more

        return show

    async def tell(self) -> None:
        """Say it now and then, for as long as this runs."""
        while True:
            came = sum(self.came_bytes.values())
            self.report(came, self.total_bytes)
            await asyncio.sleep(REPORT_S)


class BaseModelCache:
    """Base models on this machine's disk. Asks at the same time share one download, also of other processes."""

    def __init__(self, bucket: Bucket, root: Path) -> None:
        self._bucket = bucket
        self._root = root
        self._lock = asyncio.Lock()

    async def fetch(self, base_model: str, *, report: Report = lambda _came, _of: None) -> BaseModelFolder:
        """The folder of what `DOPPEL_BASE_MODEL` names. Waiting while the bucket is away is the caller's business.

        `report` hears now and then how many bytes of how many are here, where some must come.
        Raises BaseModelMissing, BaseModelCorrupt, BaseModelUnusable and storage errors.
        """
        name = model_name(base_model)
        async with self._lock:
            manifest = await self._manifest(name)
            folder = self._root / f"{name}-{manifest.content_sha256[:16]}"
            if not await asyncio.to_thread(is_whole, folder, manifest):
                async with self._alone(folder):
                    if not await asyncio.to_thread(is_whole, folder, manifest):
                        await self._download(manifest, folder, report)
        return BaseModelFolder(folder, manifest)

    @contextlib.asynccontextmanager
    async def _alone(self, folder: Path) -> AsyncGenerator[None]:
        """Only one process of this machine at a time; a killed one lets go."""
        self._root.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("wb") as lock:
            while not is_locked_by_us(lock):  # noqa: ASYNC110  another process's, and who asked sets the deadline
                await asyncio.sleep(LOCK_POLL_S)
            yield

    async def _manifest(self, name: str) -> BaseModelManifest:
        try:
            return await self._bucket.get_model(BaseModelManifest, model_pointer_key(name))
        except ObjectMissing as error:
            raise BaseModelMissing(name) from error
        except ArtifactCorrupt as error:
            raise BaseModelCorrupt(f"manifest of {name}") from error

    async def _download(self, manifest: BaseModelManifest, folder: Path, report: Report) -> None:
        part = folder.with_name(f".{folder.name}.part")
        limit = asyncio.Semaphore(DOWNLOADS)
        progress = Progress(sum(entry.size_bytes for entry in manifest.files), report)

        async def bring(entry: FileEntry) -> None:
            key = f"{manifest.prefix}/{entry.name}"
            show = progress.of(entry.name)
            try:
                async with limit:
                    if (part / entry.name).exists():  # it was whole and verified when it got that name
                        show(entry.size_bytes)
                        return
                    await self._bucket.fetch_resumed(
                        key, entry.sha256, part / entry.name, size_bytes=entry.size_bytes, show=show
                    )
            except ObjectMissing as error:
                raise BaseModelMissing(manifest.name) from error
            except ArtifactCorrupt as error:
                raise BaseModelCorrupt(key) from error

        started = time.monotonic()
        try:
            await asyncio.to_thread(make_room, part)
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(progress.tell())
                async with asyncio.TaskGroup() as files:
                    for entry in manifest.files:
                        files.create_task(bring(entry))
                telling.cancel()
        except ExceptionGroup as errors:
            raise innermost(errors) from errors  # the first that failed cancelled the others
        await asyncio.to_thread(take_place, part, folder, manifest)
        seconds = time.monotonic() - started
        log.info(
            "base model fetched",
            extra={
                "base_model": manifest.name,
                "s": round(seconds, 1),
                "mib": round(progress.total_bytes / MIB),
            },
        )


def is_locked_by_us(lock: BinaryIO) -> bool:
    """Try to take the lock; it is held until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
    """Make the folder that a download fills, and sweep what nobody goes on with (blocking)."""
    part.mkdir(parents=True, exist_ok=True)
    for old in part.parent.glob(".*.part"):
        if old != part and time.time() - old.stat().st_mtime > STALE_S:
            shutil.rmtree(old, ignore_errors=True)


def take_place(part: Path, folder: Path, manifest: BaseModelManifest) -> None:
    """Rename the finished folder into place (blocking)."""
    (part / MANIFEST_FILE).write_text(json.dumps(manifest.model_dump(mode="json")), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # it was not whole
    part.rename(folder)
