"""A run's files: dataset and checkpoints from the bucket to this disk, checkpoints and adapter back."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from doppel.storage import ObjectMissing, Storage
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
    """The bucket beside a folder of this process; what another process of this machine left behind is swept."""

    def __init__(self, storage: Storage, root: Path) -> None:
        self._storage = storage
        self._root = root

    def sweep(self) -> None:
        """Remove the work folders of processes that are gone (blocking; at start)."""
        for folder in self._root.glob("*-*"):
            pid = folder.name.split("-")[0]
            if pid.isdigit() and int(pid) != os.getpid() and not Path(f"/proc/{pid}").exists():
                shutil.rmtree(folder, ignore_errors=True)

    def work_folder(self, run_id: UUID, fence: int) -> Path:
        """An own, empty folder for one attempt (blocking)."""
        folder = self._root / f"{os.getpid()}-{run_id}-{fence}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder.resolve()

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
        self, prefix: str, folder: Path, *, run_id: UUID, fence: int, step: int
    ) -> str:
        """Files first, manifest last; returns the manifest's SHA-256, and the folder is gone."""
        names = await asyncio.to_thread(lambda: sorted(path.name for path in folder.iterdir()))
        manifest = CheckpointManifest(
            created_at=datetime.now(UTC),
            files=await self._store(prefix, folder, names),
            run_id=run_id,
            fence=fence,
            step=step,
        )
        sha256 = await self._storage.put_model(manifest_key(prefix), manifest)
        await self.remove(folder)
        return sha256

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
