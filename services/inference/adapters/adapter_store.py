"""Adapters on this machine's disk: S3 → own folder → gate → engine, pinned while used, least recently used ones leave.

Every download gets a folder, a name and a number that were never used before: the engine remembers weights by number
and cached attention by name and folder, whatever the files say meanwhile.
"""

import asyncio
import contextlib
import fcntl
import itertools
import logging
import mmap
import os
import shutil
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel

from doppel.storage import ObjectMissing
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterManifest,
    manifest_key,
    persona_prefix,
)
from proto.errors import AdapterCorrupt, AdapterMissing, ArtifactCorrupt
from proto.train import AdapterRef
from services.inference.adapters.engine import FIRST_ID, Engine, LoraFolder
from services.inference.core.adapter_gate import check_adapter
from services.inference.core.lru import DiskLru
from services.inference.core.shape import BaseShape

log = logging.getLogger(__name__)

FILES: Final = (ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE)
CONFIG_LIMIT: Final = 1024 * 1024
DOWNLOAD_TRIES: Final = 2  # a hash that is wrong twice is wrong in the bucket
LOCK_SUFFIX: Final = ".lock"
M = TypeVar("M", bound=BaseModel)


class Bucket(Protocol):
    """What of the storage is needed here."""

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest."""
        ...

    async def fetch_verified(self, key: str, sha256: str, path: Path) -> None:
        """Bring an object to disk, hashed while streaming."""
        ...


class RetrainNeeded(AdapterMissing):
    """The adapter was trained on another base model than this deployment's."""

    code = "retrain_needed"


@dataclass(frozen=True)
class LoadedAdapter:
    """A checked adapter on disk."""

    lora: LoraFolder
    manifest: AdapterManifest


@dataclass(frozen=True)
class BaseIdentity:
    """The base model that adapters must have been trained on."""

    content_sha256: str
    shape: BaseShape


Key = tuple[str, str]  # prefix and manifest hash: one version


class AdapterStore:
    """Adapters of this process. Asks for the same version at the same time share one download."""

    def __init__(
        self,
        bucket: Bucket,
        engine: Engine,
        base: BaseIdentity,
        folder: Path,
        *,
        max_rank: int,
        limit_bytes: int,
        registry: CollectorRegistry,
    ) -> None:
        self._bucket = bucket
        self._engine = engine
        self._base = base
        self._folder = folder
        self._max_rank = max_rank
        self._lru: DiskLru[Key] = DiskLru(limit_bytes)
        self._loaded: dict[Key, LoadedAdapter] = {}
        self._doors: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = itertools.count(FIRST_ID)
        self._downloads = Counter("doppel_adapter_downloads", "Adapters brought to disk.", registry=registry)
        Gauge("doppel_adapter_cache_bytes", "Disk that adapters take.", registry=registry).set_function(
            lambda: self._lru.used_bytes
        )

    @contextlib.asynccontextmanager
    async def pinned(self, ref: AdapterRef, team_id: str, user_id: str) -> AsyncGenerator[LoadedAdapter]:
        """An adapter that stays on disk for the block. Raises AdapterMissing, AdapterCorrupt and storage errors."""
        key = (ref.prefix, ref.manifest_sha256)
        adapter = await self._open(key, ref, team_id, user_id)
        self._lru.pin(key)
        try:
            yield adapter
        except AdapterCorrupt:  # the engine refused it: the next ask gets a fresh copy under a fresh number
            await self._drop(key)
            raise
        finally:
            self._lru.unpin(key)
            await self._shrink()

    async def fetch(self, ref: AdapterRef, team_id: str, user_id: str) -> None:
        """Bring it to disk, if it is not there. Raises what `pinned` does."""
        async with self.pinned(ref, team_id, user_id):
            pass

    def __contains__(self, ref: AdapterRef) -> bool:
        """Whether it is on disk."""
        return (ref.prefix, ref.manifest_sha256) in self._lru

    async def _open(self, key: Key, ref: AdapterRef, team_id: str, user_id: str) -> LoadedAdapter:
        if not ref.prefix.startswith(f"{persona_prefix(team_id, user_id)}/"):
            raise AdapterMissing(user_id)  # nobody else's, whatever a hand-published request says
        door = self._doors[key]
        try:
            async with door:
                if key not in self._lru:
                    self._loaded[key] = await self._download(ref, team_id, user_id)
                    size = sum(entry.size_bytes for entry in self._loaded[key].manifest.files)
                    self._lru.add(key, size)
                return self._loaded[key]
        finally:
            if not door.locked():
                self._doors.pop(key, None)

    async def _download(self, ref: AdapterRef, team_id: str, user_id: str) -> LoadedAdapter:
        try:
            manifest = await self._manifest(ref)
        except ObjectMissing as error:
            raise AdapterMissing(user_id) from error
        if (manifest.team_id, manifest.user_id, manifest.run_id) != (team_id, user_id, ref.run_id):
            raise AdapterCorrupt("its manifest is another one's")
        if manifest.base_model_sha256 != self._base.content_sha256:
            raise RetrainNeeded(user_id)
        number = next(self._numbers)
        lora = LoraFolder(number, f"{ref.run_id}@{number}", self._folder / f"{ref.run_id}-{number}")
        try:
            await self._fetch(manifest, ref.prefix, lora.folder)
            await asyncio.to_thread(check_folder, lora.folder, self._base.shape, self._max_rank)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, lora.folder, ignore_errors=True))
            raise
        self._downloads.inc()
        return LoadedAdapter(lora, manifest)

    async def _manifest(self, ref: AdapterRef) -> AdapterManifest:
        try:
            return await self._bucket.get_model(
                AdapterManifest, manifest_key(ref.prefix), sha256=ref.manifest_sha256
            )
        except ArtifactCorrupt as error:
            raise AdapterCorrupt("manifest") from error

    async def _fetch(self, manifest: AdapterManifest, prefix: str, folder: Path) -> None:
        for name in FILES:
            for attempt in range(1, DOWNLOAD_TRIES + 1):
                try:
                    entry = manifest.file(name)
                    await self._bucket.fetch_verified(f"{prefix}/{name}", entry.sha256, folder / name)
                    break
                except (KeyError, ObjectMissing) as error:
                    raise AdapterCorrupt(f"{name} is missing") from error
                except ArtifactCorrupt as error:
                    if attempt == DOWNLOAD_TRIES:
                        raise AdapterCorrupt(name) from error

    async def _shrink(self) -> None:
        for key in self._lru.evict():
            await self._drop(key)

    async def _drop(self, key: Key) -> None:
        """Forget, take from the engine, delete: in this order, so that a new ask never meets a half-gone one."""
        self._lru.forget(key)
        adapter = self._loaded.pop(key, None)
        if adapter is None:
            return
        await self._engine.remove(adapter.lora)
        await asyncio.to_thread(shutil.rmtree, adapter.lora.folder, ignore_errors=True)


def check_folder(folder: Path, shape: BaseShape, max_rank: int) -> None:
    """The gate, over files (blocking). Raises AdapterCorrupt."""
    config = (folder / ADAPTER_CONFIG_FILE).read_bytes()[:CONFIG_LIMIT]
    with (folder / ADAPTER_WEIGHTS_FILE).open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise AdapterCorrupt("the weights are empty")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed with its last view
    check_adapter(config, memoryview(data), shape, max_rank)


@contextlib.contextmanager
def own_folder(root: Path) -> Generator[Path]:
    """A folder of this process alone, gone with it; what killed processes left is swept first (blocking)."""
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"*{LOCK_SUFFIX}"):
        with contextlib.suppress(OSError), left.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held for as long as its process lives
            shutil.rmtree(left.with_suffix(""), ignore_errors=True)
            left.unlink(missing_ok=True)
    folder = root / f"{os.getpid()}-{os.urandom(4).hex()}"
    with folder.with_suffix(LOCK_SUFFIX).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)
