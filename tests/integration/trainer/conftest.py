"""The trainer as a process beside real servers, and a persona with consent and dataset to train."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import zstandard
from nats.aio.client import Client

from doppel.bus.broker import jetstream_of, open_client
from doppel.bus.publish import Bus
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
from tests.support.servers import TestServers
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
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
class Desk:
    """What a test does with the trainer: seed, ask, look."""

    servers: TestServers
    storage: Storage
    database: "asyncpg.Connection[asyncpg.Record]"
    client: Client
    folder: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, **settings: object) -> asyncio.subprocess.Process:
        """One replica, ready."""
        name = f"trainer-{len(self.processes)}"
        environment = dict(os.environ)  # noqa: TID251  a child of the test; DOPPEL_* is already gone
        environment |= self.servers.environment("trainer") | {
            "DOPPEL_CACHE_DIR": str(self.folder / "cache"),
            "DOPPEL_TRAINER_THREADS": "1",
            "DOPPEL_TRAINER_DEVICE": "cpu",
            "DOPPEL_RUN_LEASE_S": str(LEASE_S),
            "DOPPEL_QUEUE_POLL_S": "1",
        }
        environment |= {f"DOPPEL_{key.upper()}": str(value) for key, value in settings.items()}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.trainer", cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)

        async def ready() -> bool:
            assert process.returncode is None, self.log()
            return (
                f"{name}.log" in os.listdir(self.folder)
                and "ready" in (self.folder / f"{name}.log").read_text()
            )

        await eventually(ready, what="the trainer is ready")
        return process

    def log(self) -> str:
        """What the replicas said."""
        return "\n".join(path.read_text()[-4000:] for path in sorted(self.folder.glob("*.log")))

    async def stop(self) -> None:
        """End what is left."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

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
        await self.database.execute(
            """insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)
               values ($1, $2, $3, 'person', $4)""",
            TEAM,
            user_id,
            granted,
            str(uuid4()),
        )

    async def dataset(self, user_id: str, *, train: int = 32, held_out: int = 6) -> UUID:
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
            source="export",
            person=Person(user_id=user_id, display_name="Ada"),
            samples=SampleCounts(**counts),
        )
        sha256 = await self.storage.put_model(manifest_key(prefix), manifest)
        await self.database.execute(
            """insert into scraper.corpora (corpus_id, team_id, source, prefix, manifest_sha256, message_count,
                   channel_count) values ($1, $2, 'export', 'x', 'x', 1, 1)""",
            corpus_id,
            TEAM,
        )
        await self.database.execute(
            """insert into scraper.datasets (dataset_id, team_id, user_id, corpus_id, source, prefix, manifest_sha256,
                   train_count, validation_count, test_count) values ($1, $2, $3, $4, 'export', $5, $6, $7, $8, $8)""",
            dataset_id,
            TEAM,
            user_id,
            corpus_id,
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
        bus = Bus(self.client, jetstream_of(self.client))
        await bus.publish(subjects.TRAIN_REQUEST, request, key=f"{request.request_id}{again}")
        return run_id_of(request.request_id, user_id)

    async def results(self, run_id: UUID) -> list[TrainResult]:
        """Every `train.result` of a run."""
        found = [TrainResult.model_validate_json(data) for data in await self.facts("train.result")]
        return [result for result in found if result.run_id == run_id]

    async def progress(self, run_id: UUID) -> list[TrainProgress]:
        """Every `train.progress` of a run."""
        found = [TrainProgress.model_validate_json(data) for data in await self.facts("train.progress")]
        return [progress for progress in found if progress.run_id == run_id]

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
        jetstream = jetstream_of(self.client)

        async def empty() -> bool:
            return (await jetstream.stream_info("TRAIN_REQUEST")).state.messages == 0

        await eventually(empty, what="every request is settled", within_s=60)

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

    async def facts(self, subject: str) -> list[bytes]:
        """Every message of a subject that the stream holds."""
        stream = jetstream_of(self.client)
        found: list[bytes] = []
        state = (await stream.stream_info("FACTS")).state
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await stream.get_msg("FACTS", sequence)
            if message.subject == subject and message.data:
                found.append(message.data)
        return found


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
    database = await asyncpg.connect(clean.postgres_dsn)
    client = await open_client(clean.bus)
    desk = Desk(clean, storage, database, client, tmp_path)
    try:
        yield desk
    finally:
        await desk.stop()
        await client.close()
        await database.close()
