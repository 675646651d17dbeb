"""The trainer as a process beside real servers, and a persona with consent and dataset to train."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import zstandard

from doppel.storage import Storage
from proto import subjects
from proto.artifacts import (
    BaseModelManifest,
    DatasetManifest,
    FileEntry,
    dataset_prefix,
    manifest_key,
    split_file,
)
from proto.conversation import Person, Sample, Turn
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides, TrainProgress, TrainRequest, TrainResult, run_id_of
from tests.support.desk import Desk as ServiceDesk
from tests.support.desk import Process, opened
from tests.support.servers import TestServers
from tests.support.waiting import eventually

TEAM = "T0TRAIN"
LEASE_S = 4.0
WORDS = [
    "deploy",
    "build",
    "tests",
    "cache",
    "release",
    "docs",
    "invoice",
    "lunch",
    "search",
    "backup",
    "printer",
    "budget",
]


@dataclass
class Desk(ServiceDesk):
    """What a test does with the trainer: seed, ask, look."""

    async def start(self, **settings: object) -> Process:
        """One replica, ready."""
        ours: dict[str, object] = {
            "cache_dir": self.folder / "cache",
            "trainer_threads": 1,
            "trainer_device": "cpu",
            "run_lease_s": LEASE_S,
            "queue_poll_s": 1,
        }
        log_path = self.folder / f"trainer-{len(self.processes)}.log"
        process = await self.spawn("trainer", log_path, ours | settings)
        self.processes.append(process)
        return process

    def children(self) -> list[int]:
        """Process ids of the running recipes of our replicas."""
        ours = {process.pid for process in self.processes}
        found: list[int] = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if b"services.trainer.recipe" in command and parent in ours:
                    found.append(int(folder.name))
        return found

    async def consent(self, user_id: str, *, granted: bool = True) -> None:
        """The person's word."""
        await self.say(TEAM, user_id, granted=granted)

    async def dataset(
        self, user_id: str, *, train: int = 32, held_out: int = 6, source: str = "export"
    ) -> UUID:
        """A persona who answers everything in the same way, objects first, row last."""
        dataset_id, corpus_id = uuid4(), uuid4()
        prefix = dataset_prefix(TEAM, user_id, dataset_id, 1)
        files: list[FileEntry] = []
        counts = {"train": train, "validation": held_out, "test": held_out}
        for split, count in counts.items():
            lines = "".join(sample(split, i).model_dump_json() + "\n" for i in range(count))
            data = zstandard.compress(lines.encode())
            name = split_file(split)  # type: ignore[arg-type]
            sha256 = await self.storage.put_bytes(f"{prefix}/{name}", data)
            files.append(FileEntry(name=name, size_bytes=len(data), sha256=sha256))
        manifest = DatasetManifest(
            created_at=datetime.now(UTC),
            files=tuple(files),
            dataset_id=dataset_id,
            team_id=TEAM,
            user_id=user_id,
            corpus_id=corpus_id,
            source=source,
            person=Person(user_id=user_id, display_name="Ada"),
            samples=SampleCounts(**counts),
        )
        sha256 = await self.storage.put_model(manifest_key(prefix), manifest)
        await self.database.execute(
            """insert into scraper.corpora (corpus_id, team_id, source, prefix, manifest_sha256, message_count,
                   channel_count) values ($1, $2, $3, 'x', 'x', 1, 1)""",
            corpus_id,
            TEAM,
            source,
        )
        await self.database.execute(
            """insert into scraper.datasets (dataset_id, team_id, user_id, corpus_id, source, prefix, manifest_sha256,
                   train_count, validation_count, test_count) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)""",
            dataset_id,
            TEAM,
            user_id,
            corpus_id,
            source,
            prefix,
            sha256,
            train,
            held_out,
        )
        return dataset_id

    async def ask(
        self, user_id: str, *, request_id: UUID | None = None, again: str = "", **knobs: Any
    ) -> UUID:
        """Publish `train.request`; returns the run_id."""
        request = TrainRequest(
            request_id=request_id or uuid4(),
            team_id=TEAM,
            user_id=user_id,
            overrides=RecipeOverrides(**knobs),
        )
        assert request.request_id
        await self.bus.publish(subjects.TRAIN_REQUEST, request, key=f"{request.request_id}{again}")
        return run_id_of(request.request_id, user_id)

    async def results(self, run_id: UUID) -> list[TrainResult]:
        """Every `train.result` of a run."""
        return await self.facts(subjects.TRAIN_RESULT, run_id)

    async def progress(self, run_id: UUID) -> list[TrainProgress]:
        """Every `train.progress` of a run."""
        return await self.facts(subjects.TRAIN_PROGRESS, run_id)

    async def result(self, run_id: UUID, *, within_s: float = 120) -> TrainResult:
        """Wait for the run's end."""

        async def ended() -> TrainResult | None:
            return next(iter(await self.results(run_id)), None)

        try:
            return await eventually(ended, what="the run ends", within_s=within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error

    async def row(self, run_id: UUID) -> "asyncpg.Record":
        """The run's row."""
        row = await self.database.fetchrow("select * from trainer.runs where run_id = $1", run_id)
        assert row is not None
        return row

    async def settled(self) -> None:
        """Nothing waits on the bus."""
        await eventually(
            lambda: self.queue_is_empty("TRAIN_REQUEST"), what="every request is settled", within_s=60
        )

    async def checkpointed(self, run_id: UUID, *, step: int = 1, fence: int = 1) -> None:
        """The child is past its first steps and a checkpoint of that holder is named."""

        async def named() -> bool:
            query = """select exists (select from trainer.run_checkpoints
                                      where run_id = $1 and step >= $2 and fence = $3)"""
            return bool(await self.database.fetchval(query, run_id, step, fence))

        try:
            await eventually(named, what="a checkpoint is named", within_s=120)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error


def sample(split: str, number: int) -> Sample:
    """One exchange; the persona says nearly the same each time."""
    word = WORDS[(number * 7 + len(split)) % len(WORDS)]
    return Sample(
        turns=(Turn(role="user", content=f"Bob: what about the {word} today, number {number}?"),),
        response=f"Arr, the {word} again! Ahoy, mind the rocks.",
        channel_id="C1",
        ts=f"1700000{number:03d}.000100",
    )


@pytest.fixture
async def desk(
    clean: TestServers, storage: Storage, tiny_base: BaseModelManifest, tmp_path: Path
) -> AsyncGenerator[Desk]:
    """Empty servers, the tiny base in the bucket, no trainer yet."""
    async with opened(Desk, clean, storage, tmp_path) as desk:
        yield desk
