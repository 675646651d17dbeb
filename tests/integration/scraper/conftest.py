"""The scraper as a process beside real servers, and the playground as its Slack."""

import asyncio
import contextlib
import hashlib
import os
import sys
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from doppel.bus.broker import jetstream_of, open_client
from doppel.bus.publish import Bus
from doppel.secrets import TokenBox, new_key
from doppel.storage import Storage
from playground.app import Running, start
from playground.settings import Settings as PlaygroundSettings
from proto import subjects
from proto.artifacts import (
    CorpusManifest,
    DatasetManifest,
    Split,
    export_key,
    manifest_key,
    split_file,
)
from proto.conversation import Message, Person, Sample
from proto.scrape import ScrapeProgress, ScrapeRequest, ScrapeResult
from services.scraper.adapters.corpora import fetch_people, fetch_shards
from services.scraper.adapters.shards import read_lines
from tests.support.servers import TestServers
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
TEAM = "T0DOPPEL"
LEASE_S = 4.0


@dataclass
class Shared:
    """A replica with default settings that tests leave running for the next one."""

    folder: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def scratch(self) -> Path:
        """Where every replica sorts."""
        return self.folder / "scratch"

    async def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        self.process = None


@dataclass
class Desk:
    """What a test does with the scraper: seed, ask, look."""

    servers: TestServers
    storage: Storage
    database: "asyncpg.Connection[asyncpg.Record]"
    client: Client
    folder: Path
    shared: Shared
    key: str = field(default_factory=new_key)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def serve(self) -> None:
        """A replica with default settings, perhaps an earlier test's."""
        if self.shared.process is None or self.shared.process.returncode is not None:
            self.shared.process = await self._spawn(self.shared.folder / "shared.log")

    async def start(self, **settings: object) -> asyncio.subprocess.Process:
        """A replica of this test's own, ready."""
        await self.shared.stop()
        process = await self._spawn(self.folder / f"scraper-{len(self.processes)}.log", **settings)
        self.processes.append(process)
        return process

    async def _spawn(self, log_path: Path, **settings: object) -> asyncio.subprocess.Process:
        environment = dict(os.environ)  # noqa: TID251  a child of the test; DOPPEL_* is already gone
        environment |= self.servers.environment("scraper") | {
            "DOPPEL_ENCRYPTION_KEYS": self.key,
            "DOPPEL_SCRAPE_LEASE_S": str(LEASE_S),
            "DOPPEL_SCRATCH_FOLDER": str(self.shared.scratch),
        }
        environment |= {f"DOPPEL_{name.upper()}": str(value) for name, value in settings.items()}
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.scraper", cwd=ROOT, env=environment, stdout=log, stderr=log
            )

        async def ready() -> bool:
            assert process.returncode is None, self.log()
            return " ready" in log_path.read_text()

        try:
            await eventually(ready, what="the scraper is ready")
        except AssertionError:
            process.kill()
            raise
        return process

    def log(self) -> str:
        """What the replicas said."""
        paths = sorted(self.folder.glob("*.log"))
        paths += sorted(self.shared.folder.glob("*.log"))
        return "\n".join(path.read_text() for path in paths)

    async def stop(self) -> None:
        """End what is left."""
        for process in self.processes:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(10):
                        await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def consent(self, user_id: str, *, team_id: str = TEAM, granted: bool = True) -> None:
        """The person's word."""
        await self.database.execute(
            """insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)
               values ($1, $2, $3, 'person', $4)""",
            team_id,
            user_id,
            granted,
            str(uuid4()),
        )

    async def install(self, token: str = "xoxb-playground-bot") -> None:
        """The workspace's token, as the gateway stores it."""
        await self.database.execute(
            """insert into gateway.installations (team_id, api_app_id, bot_user_id, bot_token)
               values ($1, 'A0DOPPEL', 'U0DOPPEL', $2)
               on conflict (team_id) do update set bot_token = excluded.bot_token""",
            TEAM,
            TokenBox(SecretStr(self.key)).seal(TEAM, token),
        )

    async def upload(self, path: Path, team_id: str = TEAM) -> str:
        """Upload an export as `doppel import` does; returns the request's source."""
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        key = export_key(team_id, sha256, "zip")
        await self.storage.put_file(key, path)
        return f"export:{key}"

    async def ask(self, source: str, *, team_id: str = TEAM, **fields: Any) -> UUID:
        """Publish a scrape.request."""
        request_id = fields.pop("request_id", None) or uuid4()
        request = ScrapeRequest(request_id=request_id, team_id=team_id, source=source, **fields)
        await self.bus.publish(subjects.SCRAPE_REQUEST, request, key=f"{request_id}/{uuid4()}")
        return request_id

    @property
    def bus(self) -> Bus:
        """Publishes as an operator would."""
        return Bus(self.client, jetstream_of(self.client))

    async def facts(self, subject: subjects.Subject, request_id: UUID) -> list[Any]:
        """All messages of one subject about one request."""
        jetstream = jetstream_of(self.client)
        found: list[Any] = []
        last = (await jetstream.stream_info("FACTS")).state.last_seq
        first = (await jetstream.stream_info("FACTS")).state.first_seq
        for sequence in range(first, last + 1):
            message = await jetstream.get_msg("FACTS", seq=sequence)
            if message.subject == subject.name:
                body = subject.body.model_validate_json(message.data or b"")
                if getattr(body, "request_id", None) == request_id:
                    found.append(body)
        return found

    async def progress(self, request_id: UUID) -> list[ScrapeProgress]:
        """How far it was."""
        return await self.facts(subjects.SCRAPE_PROGRESS, request_id)

    async def facts_of_results(self, request_id: UUID) -> list[ScrapeResult]:
        """Every result of one request: there should be one."""
        return await self.facts(subjects.SCRAPE_RESULT, request_id)

    async def result(self, request_id: UUID, *, within_s: float = 60) -> ScrapeResult:
        """The outcome."""
        try:
            found = await eventually(
                lambda: self.facts_of_results(request_id), what="scrape.result", within_s=within_s
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error
        return found[0]

    async def corpus(self, result: ScrapeResult) -> tuple[CorpusManifest, list[Person], list[Message]]:
        """A committed corpus, read as a reader would: row, manifest, objects."""
        row = await self.database.fetchrow(
            "select * from scraper.corpora where corpus_id = $1", result.corpus_id
        )
        assert row is not None
        manifest, people = await fetch_people(self.storage, row["prefix"], row["manifest_sha256"])
        paths = await fetch_shards(
            self.storage, row["prefix"], manifest, self.folder / str(result.request_id)
        )
        return manifest, people, [message for path in paths for message in read_lines(path, Message)]

    async def dataset(self, result: ScrapeResult) -> tuple[DatasetManifest, dict[Split, list[Sample]]]:
        """A committed dataset."""
        row = await self.database.fetchrow(
            "select * from scraper.datasets where dataset_id = $1", result.dataset_id
        )
        assert row is not None
        manifest = await self.storage.get_model(
            DatasetManifest, manifest_key(row["prefix"]), sha256=row["manifest_sha256"]
        )
        splits: dict[Split, list[Sample]] = {}
        for split in ("train", "validation", "test"):
            entry = manifest.file(split_file(split))
            path = self.folder / f"{result.request_id}-{entry.name}"
            await self.storage.fetch_verified(f"{row['prefix']}/{entry.name}", entry.sha256, path)
            splits[split] = list(read_lines(path, Sample))
        return manifest, splits

    async def progress_rows(self) -> int:
        """Scrapes that somebody holds."""
        return await self.database.fetchval("select count(*) from scraper.scrapes where state = 'running'")

    async def raw(self, subject: subjects.Subject, data: bytes) -> None:
        """Publish bytes as they are."""
        await self.bus.publish_bytes(subject.name, data, subject.stream or "", f"raw-{uuid4()}")

    async def dead(self, subject: str) -> int:
        """How many messages of that subject are parked."""
        info = await jetstream_of(self.client).stream_info("DEAD", subjects_filter=f"dead.{subject}")
        return (info.state.subjects or {}).get(f"dead.{subject}", 0)

    async def settled(self) -> bool:
        """Nothing waits and nothing is under way in SCRAPE_REQUEST."""
        state = (await jetstream_of(self.client).stream_info("SCRAPE_REQUEST")).state
        return state.messages == 0


@pytest.fixture(scope="package")
async def shared_replica(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Shared]:
    """Ended after the last test of this folder."""
    shared = Shared(tmp_path_factory.mktemp("scraper"))
    shared.scratch.mkdir()
    yield shared
    await shared.stop()


@pytest.fixture
async def desk(
    clean: TestServers, storage: Storage, tmp_path: Path, shared_replica: Shared
) -> AsyncGenerator[Desk]:
    """The desk, servers empty."""
    database = await asyncpg.connect(clean.postgres_dsn)
    client = await open_client(clean.bus)
    desk = Desk(clean, storage, database, client, tmp_path, shared_replica)
    yield desk
    await desk.stop()
    await client.close()
    await database.close()


@pytest.fixture
async def slack() -> AsyncGenerator[Running]:
    """A playground with a small history."""
    running = await start(
        PlaygroundSettings(port=0, message_count=700, gateway_urls=["http://127.0.0.1:9"], nats_url=None)
    )
    yield running
    await running.stop()


@pytest.fixture
def api(slack: Running) -> dict[str, object]:
    """Settings of a scraper that may read the playground."""
    return {"slack_api_url": f"{slack.url}/api/", "train_on_slack_api": "i-have-slacks-permission"}


@pytest.fixture
def export_zip(tmp_path: Path) -> Path:
    """The synthetic workspace as an export."""
    from playground.export import write_export_zip
    from playground.synthetic import make_workspace

    path = tmp_path / "export.zip"
    write_export_zip(make_workspace(7, now=1_780_000_000, message_count=1_200), path)
    return path


def names_in(path: Path) -> list[str]:
    """What an archive holds."""
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()
