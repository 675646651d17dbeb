"""What tests of one service on real servers share: replicas as processes, rows, facts, the queue."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
from nats.aio.client import Client

from doppel.bus.broker import jetstream_of, open_client
from doppel.bus.publish import Bus
from doppel.storage import Storage
from proto import subjects
from tests.support.servers import TestServers
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
END_S = 10.0

D = TypeVar("D", bound="Desk")
Process = asyncio.subprocess.Process


@dataclass
class Desk:
    """One test's place: servers, a folder, and the replicas that it started."""

    servers: TestServers
    storage: Storage
    database: "asyncpg.Connection[asyncpg.Record]"
    client: Client
    folder: Path
    processes: list[Process] = field(default_factory=list)

    @property
    def bus(self) -> Bus:
        """Publishes as an operator would."""
        return Bus(self.client, jetstream_of(self.client))

    async def spawn(self, service: str, log_path: Path, settings: dict[str, object]) -> Process:
        """One replica, ready; the caller ends it."""
        environment = dict(os.environ)  # noqa: TID251  a child of the test; DOPPEL_* is already gone
        environment |= self.servers.environment(service)
        environment |= {f"DOPPEL_{name.upper()}": str(value) for name, value in settings.items()}
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{service}", cwd=ROOT, env=environment, stdout=log, stderr=log
            )

        async def ready() -> bool:
            assert process.returncode is None, log_path.read_text()[-4000:]
            return " ready" in log_path.read_text()

        try:
            await eventually(ready, what=f"the {service} is ready", within_s=READY_S)
        except AssertionError:
            await end(process)
            raise
        return process

    def log(self) -> str:
        """What this test's replicas said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    async def connect_again(self) -> None:
        """After a restart of the database: this test's own connection is gone too."""
        await self.database.close(timeout=END_S)
        self.database = await asyncpg.connect(self.servers.postgres_dsn)

    async def stop(self) -> None:
        """End what is left."""
        for process in self.processes:
            await end(process)

    async def say(self, team_id: str, user_id: str, *, granted: bool) -> None:
        """A person's word."""
        await self.database.execute(
            """insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)
               values ($1, $2, $3, 'person', $4)""",
            team_id,
            user_id,
            granted,
            str(uuid4()),
        )

    async def facts(self, subject: subjects.Subject, about: UUID) -> list[Any]:
        """All bodies of one subject about one request or run, oldest first."""
        jetstream = jetstream_of(self.client)
        state = (await jetstream.stream_info("FACTS")).state
        found: list[Any] = []
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await jetstream.get_msg("FACTS", seq=sequence)
            if message.subject != subject.name:
                continue
            body = subject.body.model_validate_json(message.data or b"")
            if about in (getattr(body, "request_id", None), getattr(body, "run_id", None)):
                found.append(body)
        return found

    async def queue_is_empty(self, stream: str) -> bool:
        """Nothing waits and nothing is under way."""
        return (await jetstream_of(self.client).stream_info(stream)).state.messages == 0

    async def dead(self, subject: str) -> int:
        """How many messages of that subject are parked."""
        info = await jetstream_of(self.client).stream_info("DEAD", subjects_filter=f"dead.{subject}")
        return (info.state.subjects or {}).get(f"dead.{subject}", 0)

    async def raw(self, subject: subjects.Subject, data: bytes) -> None:
        """Publish bytes as they are."""
        await self.bus.publish_bytes(subject.name, data, subject.stream or "", f"raw-{uuid4()}")


async def end(process: Process) -> None:
    """SIGTERM, and what must be done where that does not help."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


@asynccontextmanager
async def opened(
    kind: type[D], servers: TestServers, storage: Storage, folder: Path, **more: Any
) -> AsyncGenerator[D]:
    """A desk with its connections; afterwards its replicas have ended."""
    database = await asyncpg.connect(servers.postgres_dsn)
    client = await open_client(servers.bus)
    desk = kind(servers, storage, database, client, folder, **more)
    try:
        yield desk
    finally:
        await desk.stop()
        await client.close()
        await desk.database.close()
