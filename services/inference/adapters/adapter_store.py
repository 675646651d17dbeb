"""Adapters on this machine's disk: S3 → own folder → gate → engine, pinned while used, least recently used ones leave.

Every download gets a folder, a name and a number that were never used before: the engine remembers weights by number
and cached attention by name and folder, whatever the files say meanwhile.
"""

import asyncio
import contextlib
import fcntl
import logging
import mmap
import os
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel

from doppel.storage import ObjectMissing
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterManifest,
    FileEntry,
    manifest_key,
    persona_prefix,
)
from proto.errors import AdapterCorrupt, AdapterMissing, ArtifactCorrupt
from proto.train import AdapterRef
from services.inference.adapters.engine import FIRST_ID, Engine, LoraFolder
from services.inference.core.adapter_gate import check_adapter, most_weight_bytes
from services.inference.core.lru import DiskLru, Fetch, Refuse, Use, Wait
from services.inference.core.shape import BaseShape

log = logging.getLogger(__name__)

CONFIG_LIMIT: Final = 1024 * 1024
DOWNLOAD_TRIES: Final = 2  # a hash that is wrong twice is wrong in the bucket
LOCK_SUFFIX: Final = ".lock"
M = TypeVar("M", bound=BaseModel)


class Bucket(Protocol):
    """What of the storage is needed here."""

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest."""
        ...

    async def fetch_verified(
        self, key: str, sha256: str, path: Path, *, limit_bytes: int | None = None
    ) -> None:
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


class Key(NamedTuple):
    """One version."""

    prefix: str
    manifest_sha256: str


@dataclass
class Flight:
    """A download that others wait for."""

    over: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None


class AdapterStore:
    """Adapters of this process: `core/lru.py` decides, this moves files and tells the engine."""

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
        self._lru: DiskLru[Key] = DiskLru(limit_bytes, FIRST_ID)
        self._loaded: dict[int, LoadedAdapter] = {}
        self._flights: dict[int, Flight] = {}
        self._downloads = Counter("doppel_adapter_downloads", "Adapters brought to disk.", registry=registry)
        self._hits = Counter(
            "doppel_adapter_hits", "Requests that found their adapter here.", registry=registry
        )
        Gauge("doppel_adapter_cache_bytes", "Disk that adapters take.", registry=registry).set_function(
            lambda: self._lru.used_bytes
        )

    @contextlib.asynccontextmanager
    async def pinned(self, ref: AdapterRef, team_id: str, user_id: str) -> AsyncGenerator[LoadedAdapter]:
        """An adapter that stays on disk for the block. Raises AdapterMissing, AdapterCorrupt and storage errors."""
        key = Key(ref.prefix, ref.manifest_sha256)
        number = await self._pin(key, ref, team_id, user_id)
        try:
            yield self._loaded[number]
        except (
            AdapterCorrupt
        ) as error:  # the engine refused what passed the gate: others may go on, nobody joins
            self._lru.broke(key, number, error.what, time.monotonic())
            raise
        finally:
            self._lru.unpin(number)
            await self._sweep()

    async def replace(self, ref: AdapterRef, team_id: str, user_id: str) -> None:
        """Bring a persona's new version to disk, then drain its older ones: who uses one keeps it until done.

        Raises what `pinned` does; the older ones then stay.
        """
        async with self.pinned(ref, team_id, user_id):
            theirs = f"{persona_prefix(team_id, user_id)}/"
            for key, number in self._lru.offered().items():
                if key.prefix.startswith(theirs) and key.prefix != ref.prefix:
                    self._lru.retire(number)

    async def forget(self, team_id: str, user_id: str) -> int:
        """Let go of every version of a person, as soon as nobody uses it; returns how many. Raises EngineDied."""
        theirs = f"{persona_prefix(team_id, user_id)}/"
        numbers = [number for key, number in self._lru.offered().items() if key.prefix.startswith(theirs)]
        for number in numbers:
            self._lru.retire(number)
        await self._sweep()
        return len(numbers)

    async def compare(self, existing: Callable[[Sequence[UUID]], Awaitable[frozenset[UUID]]]) -> int:
        """Let go of versions that are no more, whether or not anybody told us; returns how many. Raises EngineDied."""
        here = {number: self._loaded[number].manifest.run_id for number in self._lru.offered().values()}
        known = await existing(sorted(set(here.values()))) if here else frozenset[UUID]()
        gone = [number for number, run_id in here.items() if run_id not in known]
        for number in gone:
            self._lru.retire(number)
        await self._sweep()
        return len(gone)

    async def held(self, team_id: str, user_id: str) -> dict[str, int]:
        """What of a person is here; what lies here without being anybody's counts too."""
        theirs = {
            number
            for number, each in self._loaded.items()
            if (each.manifest.team_id, each.manifest.user_id) == (team_id, user_id)
        }
        named = {each.lora.folder.name for number, each in self._loaded.items() if number not in theirs}
        coming = tuple(f"-{number}" for number in self._flights)
        folders = await asyncio.to_thread(lambda: [path.name for path in self._folder.glob("*-*-*-*-*-*")])
        return {
            "disk": sum(name not in named and not name.endswith(coming) for name in folders),
            "engine": len((self._engine.known & theirs) | (self._engine.known - self._loaded.keys())),
        }

    def __contains__(self, ref: AdapterRef) -> bool:
        """Whether it is on disk."""
        return Key(ref.prefix, ref.manifest_sha256) in self._lru

    async def _pin(self, key: Key, ref: AdapterRef, team_id: str, user_id: str) -> int:
        """Find or fetch a copy and pin it, with nothing in between that could take it away."""
        if not ref.prefix.startswith(f"{persona_prefix(team_id, user_id)}/"):
            raise AdapterMissing(user_id)  # nobody else's, whatever a hand-published request says
        hit = True
        while True:
            step = self._lru.ask(key, time.monotonic())
            match step:
                case Use(number):
                    if is_there(self._loaded[number].lora.folder):
                        self._lru.pin(number)
                        if hit:
                            self._hits.inc()
                        return number
                    self._lru.retire(number)  # somebody tidied up: the engine would die of it
                    log.warning("an adapter's folder is gone; fetching it again")
                case Fetch(number):
                    hit = False
                    await self._fly(key, number, ref, team_id, user_id)
                case Wait(number):
                    hit = False
                    flight = self._flights[number]
                    await flight.over.wait()
                    if flight.error is not None:
                        raise flight.error
                case Refuse(reason):
                    raise AdapterCorrupt(reason)

    async def _fly(self, key: Key, number: int, ref: AdapterRef, team_id: str, user_id: str) -> None:
        """One download, however many wait for it. One that is broken off leaves the next who asks to do it."""
        flight = self._flights[number] = Flight()
        try:
            loaded = await self._download(number, ref, team_id, user_id)
        except AdapterCorrupt as error:
            self._lru.broke(key, number, error.what, time.monotonic())
            flight.error = error
            raise
        except BaseException as error:
            self._lru.failed(key, number)
            flight.error = error if isinstance(error, Exception) else None
            raise
        else:
            self._loaded[number] = loaded
            self._lru.arrived(key, number, sum(entry.size_bytes for entry in loaded.manifest.files))
            self._downloads.inc()
        finally:
            flight.over.set()
            del self._flights[number]

    async def _download(self, number: int, ref: AdapterRef, team_id: str, user_id: str) -> LoadedAdapter:
        try:
            manifest = await self._manifest(ref)
        except ObjectMissing as error:
            raise AdapterMissing(user_id) from error
        if (manifest.team_id, manifest.user_id, manifest.run_id) != (team_id, user_id, ref.run_id):
            raise AdapterCorrupt("its manifest is another one's")
        if manifest.base_model_sha256 != self._base.content_sha256:
            raise RetrainNeeded(user_id)
        lora = LoraFolder(number, f"{ref.run_id}@{number}", self._folder / f"{ref.run_id}-{number}")
        try:
            await self._fetch(manifest, ref.prefix, lora.folder)
            await asyncio.to_thread(check_folder, lora.folder, self._base.shape, self._max_rank)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, lora.folder, ignore_errors=True))
            raise
        return LoadedAdapter(lora, manifest)

    async def _manifest(self, ref: AdapterRef) -> AdapterManifest:
        try:
            return await self._bucket.get_model(
                AdapterManifest, manifest_key(ref.prefix), sha256=ref.manifest_sha256
            )
        except ArtifactCorrupt as error:
            raise AdapterCorrupt("manifest") from error

    async def _fetch(self, manifest: AdapterManifest, prefix: str, folder: Path) -> None:
        for entry in self._entries(manifest):
            for attempt in range(1, DOWNLOAD_TRIES + 1):
                try:
                    await self._bucket.fetch_verified(
                        f"{prefix}/{entry.name}",
                        entry.sha256,
                        folder / entry.name,
                        limit_bytes=entry.size_bytes,
                    )
                    break
                except ObjectMissing as error:
                    raise AdapterCorrupt(f"{entry.name} is missing") from error
                except ArtifactCorrupt as error:
                    if attempt == DOWNLOAD_TRIES:
                        raise AdapterCorrupt(entry.name) from error

    def _entries(self, manifest: AdapterManifest) -> list[FileEntry]:
        """The files the engine needs. One that is too large is not even fetched: it would only fill the disk."""
        limits = {
            ADAPTER_CONFIG_FILE: CONFIG_LIMIT,
            ADAPTER_WEIGHTS_FILE: most_weight_bytes(self._base.shape, self._max_rank),
        }
        entries = [entry for entry in manifest.files if entry.name in limits]
        if missing := limits.keys() - {entry.name for entry in entries}:
            raise AdapterCorrupt(f"{min(missing)} is missing")
        for entry in entries:
            if entry.size_bytes > limits[entry.name]:
                raise AdapterCorrupt(f"{entry.name} is larger than an adapter of this base model can be")
        return entries

    async def _sweep(self) -> None:
        """Take what must go from the engine, then delete it. No new ask meets it: it is off the list already."""
        for number in self._lru.leave():
            adapter = self._loaded.pop(number)
            await self._engine.remove(adapter.lora)
            await asyncio.to_thread(shutil.rmtree, adapter.lora.folder, ignore_errors=True)


def is_there(folder: Path) -> bool:
    """Whether an adapter's weights still lie where the engine would read them (two microseconds)."""
    return (folder / ADAPTER_WEIGHTS_FILE).is_file()


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
