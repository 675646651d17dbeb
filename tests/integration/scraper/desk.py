"""What a test does with the scraper: seed, ask, look."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from doppel.secrets import TokenBox, new_key
from doppel.storage import sha256_of
from proto import subjects
from proto.artifacts import CorpusManifest, DatasetManifest, Split, export_key, manifest_key, split_file
from proto.conversation import Message, Person, Sample
from proto.scrape import ScrapeProgress, ScrapeRequest, ScrapeResult
from services.scraper.adapters.corpora import fetch_people, fetch_shards
from services.scraper.adapters.shards import read_lines
from tests.support.desk import Desk as ServiceDesk
from tests.support.desk import Process, end
from tests.support.waiting import eventually

TEAM = "T0DOPPEL"
LEASE_S = 4.0


@dataclass
class Shared:
    """A replica with default settings that tests leave running for the next one."""

    folder: Path
    process: Process | None = None
    key: str = field(default_factory=new_key)

    @property
    def scratch(self) -> Path:
        """Where every replica sorts."""
        return self.folder / "scratch"

    async def stop(self) -> None:
        """End it."""
        if self.process is not None:
            await end(self.process)
        self.process = None


@dataclass
class Desk(ServiceDesk):
    """The scraper's desk."""

    shared: Shared = field(kw_only=True)

    async def serve(self) -> None:
        """A replica with default settings, perhaps an earlier test's."""
        if self.shared.process is None or self.shared.process.returncode is not None:
            self.shared.process = await self._spawn(self.shared.folder / "shared.log", {})

    async def start(self, **settings: object) -> Process:
        """A replica of this test's own, ready."""
        await self.shared.stop()
        process = await self._spawn(self.folder / f"scraper-{len(self.processes)}.log", settings)
        self.processes.append(process)
        return process

    async def _spawn(self, log_path: Path, settings: dict[str, object]) -> Process:
        ours: dict[str, object] = {
            "base_model": "tiny",
            "encryption_keys": self.shared.key,
            "scrape_lease_s": LEASE_S,
            "scratch_folder": self.shared.scratch,
        }
        return await self.spawn("scraper", log_path, ours | settings)

    def log(self) -> str:
        """What the replicas said, the shared one too."""
        return "\n".join([super().log(), *(path.read_text() for path in self.shared.folder.glob("*.log"))])

    async def consent(self, user_id: str, *, team_id: str = TEAM, granted: bool = True) -> None:
        """The person's word."""
        await self.say(team_id, user_id, granted=granted)

    async def install(self, token: str = "xoxb-playground-bot") -> None:
        """The workspace's token, as the gateway stores it."""
        await self.database.execute(
            """insert into gateway.installations (team_id, api_app_id, bot_user_id, bot_token)
               values ($1, 'A0DOPPEL', 'U0DOPPEL', $2)
               on conflict (team_id) do update set bot_token = excluded.bot_token""",
            TEAM,
            TokenBox(SecretStr(self.shared.key)).seal(TEAM, token),
        )

    async def upload(self, path: Path, team_id: str = TEAM) -> str:
        """Upload a history as `doppel import` does; returns the request's source."""
        suffix = path.suffix.removeprefix(".")
        key = export_key(team_id, await asyncio.to_thread(sha256_of, path), suffix)
        await self.storage.put_file(key, path)
        return f"{'export' if suffix == 'zip' else 'text'}:{key}"

    async def ask(self, source: str, *, team_id: str = TEAM, **fields: Any) -> UUID:
        """Publish a scrape.request."""
        request_id = fields.pop("request_id", None) or uuid4()
        request = ScrapeRequest(request_id=request_id, team_id=team_id, source=source, **fields)
        await self.bus.publish(subjects.SCRAPE_REQUEST, request, key=f"{request_id}/{uuid4()}")
        return request_id

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

    async def corpora(self) -> int:
        """How many corpora there are."""
        return await self.database.fetchval("select count(*) from scraper.corpora")

    async def said(self, words: str) -> bool:
        """Did a replica log that?"""
        return words in self.log()

    async def state_of(self, request_id: UUID) -> str | None:
        """Its row's state."""
        return await self.database.fetchval(
            "select state from scraper.scrapes where request_id = $1", request_id
        )

    async def progress_rows(self) -> int:
        """Scrapes that somebody holds."""
        return await self.database.fetchval("select count(*) from scraper.scrapes where state = 'running'")

    async def commits_waiting(self) -> int:
        """Who waits for a lock on the table of corpora."""
        return await self.database.fetchval(
            "select count(*) from pg_locks where not granted and relation = 'scraper.corpora'::regclass"
        )

    async def settled(self) -> bool:
        """Nothing waits and nothing is under way in SCRAPE_REQUEST."""
        return await self.queue_is_empty("SCRAPE_REQUEST")
