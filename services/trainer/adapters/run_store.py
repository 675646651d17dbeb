"""A run's files: dataset and checkpoints from the bucket to this disk, checkpoints and adapter back."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from doppel.storage import ObjectMissing, Storage
from doppel.uploads import Uploads
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    REPORT_FILE,
    REPORT_PAGE_FILE,
    REPORT_PLOT_FILE,
    SPLITS,
    AdapterManifest,
    CheckpointManifest,
    DatasetManifest,
    FileEntry,
    ReportManifest,
    manifest_key,
    split_file,
)
from proto.errors import ArtifactCorrupt
from proto.report import Measures, VoiceReport
from services.trainer.core.report_page import render_page

MEASURES_FILE: Final = "measures.json"


class RunStore:
    """The bucket beside a folder of this process, which it locks for as long as it lives."""

    def __init__(self, storage: Storage, root: Path) -> None:
        self._storage = storage
        self._root = root
        self._home: tuple[Path, int] | None = None

    def open(self) -> None:
        """Make the folder. What processes that are gone have left, and so nobody locks, goes first (blocking)."""
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.iterdir():
            with contextlib.suppress(OSError):  # somebody works there, or was faster
                _remove(left, _lock(left))
        while self._home is None:
            folder = Path(tempfile.mkdtemp(dir=self._root.resolve()))
            with contextlib.suppress(OSError):  # swept by another replica before it was locked
                self._home = folder, _lock(folder)

    def close(self) -> None:
        """Remove it (blocking)."""
        if self._home is not None:
            _remove(*self._home)
            self._home = None

    def work_folder(self, run_id: UUID, fence: int) -> Path:
        """An empty folder for one attempt (blocking)."""
        assert self._home is not None  # opened at the start
        folder = self._home[0] / f"{run_id}-{fence}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    async def work_folders(self) -> list[UUID]:
        """Of which runs something lies on this disk, also of attempts that left something behind."""

        def names() -> list[str]:
            return [path.name for path in self._root.glob("*/*") if path.is_dir()]

        found: list[UUID] = []
        for name in await asyncio.to_thread(names):
            with contextlib.suppress(ValueError):
                found.append(UUID(name.rpartition("-")[0]))
        return found

    async def dataset_manifest(self, prefix: str, sha256: str) -> DatasetManifest:
        """Whose dataset, and its files. Raises ArtifactCorrupt."""
        try:
            return await self._storage.get_model(DatasetManifest, manifest_key(prefix), sha256=sha256)
        except ObjectMissing as error:
            raise ArtifactCorrupt("the dataset's manifest") from error

    async def fetch_dataset(self, prefix: str, manifest: DatasetManifest, folder: Path) -> None:
        """Its three splits. Raises ArtifactCorrupt."""
        try:
            entries = [manifest.file(split_file(split)) for split in SPLITS]
        except KeyError as error:
            raise ArtifactCorrupt("the dataset's manifest") from error
        await self._fetch(prefix, entries, folder)

    async def fetch_checkpoint(self, prefix: str, sha256: str, folder: Path) -> None:
        """One resumable state. Raises ArtifactCorrupt."""
        try:
            manifest = await self._storage.get_model(CheckpointManifest, manifest_key(prefix), sha256=sha256)
        except ObjectMissing as error:
            raise ArtifactCorrupt("a checkpoint's manifest") from error
        await self._fetch(prefix, manifest.files, folder)

    async def store_checkpoint(
        self, prefix: str, folder: Path, *, run_id: UUID, fence: int, step: int, created_at: datetime
    ) -> str:
        """Files first, manifest last; returns the manifest's SHA-256."""
        names = await asyncio.to_thread(lambda: sorted(path.name for path in folder.iterdir()))
        manifest = CheckpointManifest(
            created_at=created_at,
            files=await self._store(prefix, folder, names),
            run_id=run_id,
            fence=fence,
            step=step,
        )
        return await self._storage.put_model(manifest_key(prefix), manifest)

    async def store_curves(self, prefix: str, folder: Path) -> None:
        """What TensorBoard reads; each time the whole, under the same name."""
        for path in await asyncio.to_thread(lambda: sorted(folder.glob("events.*"))):
            await self._storage.put_file(f"{prefix}/{path.name}", path)

    async def store_adapter_files(self, prefix: str, folder: Path) -> tuple[FileEntry, ...]:
        """The two PEFT files."""
        return await self._store(prefix, folder, [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE])

    async def store_adapter_manifest(self, prefix: str, manifest: AdapterManifest) -> str:
        """Returns the SHA-256 that the row will name."""
        return await self._storage.put_model(manifest_key(prefix), manifest)

    async def forget(self, prefixes: Sequence[str]) -> None:
        """Delete everything under these prefixes; rows no longer name them."""
        for prefix in prefixes:
            await self._storage.delete(await self._storage.list_keys(prefix.rstrip("/") + "/"))

    async def forget_all_but(self, prefix: str, kept: Sequence[str]) -> int:
        """Delete everything under `prefix` that lies under none of `kept`; returns how many objects went."""
        await self._storage.quiet()  # an upload that was cancelled would arrive after us
        uploads = Uploads(self._storage)
        for begun in await uploads.unfinished(prefix.rstrip("/") + "/"):  # of killed holders
            await uploads.abort(begun)
        keys = await self._storage.list_keys(prefix.rstrip("/") + "/")
        gone = [key for key in keys if not any(key.startswith(one.rstrip("/") + "/") for one in kept)]
        await self._storage.delete(gone)
        return len(gone)

    async def read_measures(self, folder: Path) -> Measures:
        """What the child has measured."""
        return Measures.model_validate_json(await asyncio.to_thread((folder / MEASURES_FILE).read_bytes))

    async def store_report(self, prefix: str, folder: Path, report: VoiceReport) -> str:
        """The report as JSON, as a page, and its plot; manifest last. Returns the manifest's SHA-256."""

        def write() -> None:
            plot = (folder / REPORT_PLOT_FILE).read_bytes()
            (folder / REPORT_FILE).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
            (folder / REPORT_PAGE_FILE).write_text(render_page(report, plot), encoding="utf-8")

        await asyncio.to_thread(write)
        names = (REPORT_FILE, REPORT_PAGE_FILE, REPORT_PLOT_FILE)
        manifest = ReportManifest(
            created_at=report.created_at,
            files=await self._store(prefix, folder, names),
            run_id=report.run_id,
        )
        return await self._storage.put_model(manifest_key(prefix), manifest)

    async def remove(self, folder: Path) -> None:
        """Remove a local folder."""
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _store(self, prefix: str, folder: Path, names: Sequence[str]) -> tuple[FileEntry, ...]:
        entries: list[FileEntry] = []
        for name in names:
            size_bytes = await asyncio.to_thread(lambda path: path.stat().st_size, folder / name)
            sha256 = await self._storage.put_file(f"{prefix}/{name}", folder / name)
            entries.append(FileEntry(name=name, size_bytes=size_bytes, sha256=sha256))
        return tuple(entries)

    async def _fetch(self, prefix: str, entries: Sequence[FileEntry], folder: Path) -> None:
        try:
            for entry in entries:
                path = folder / Path(entry.name).name
                await self._storage.fetch_verified(f"{prefix}/{entry.name}", entry.sha256, path)
        except ObjectMissing as error:
            raise ArtifactCorrupt(str(error)) from error


def _lock(folder: Path) -> int:
    """Hold a folder for as long as this process lives. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
