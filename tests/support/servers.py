"""Real nats-server, PostgreSQL and S3, started once per test run by the code that `doppel up` runs."""

import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from doppel.basemodel.prepare import prepare
from doppel.bus.access import OPS
from doppel.bus.broker import jetstream_of, open_client
from doppel.local.home import Home, Ports
from doppel.local.servers import Servers
from doppel.local.supervisor import Supervisor
from doppel.migrate import READER, SERVICES
from doppel.settings import BusSettings, SharedSettings, StorageSettings
from doppel.storage import Storage
from proto.artifacts import BaseModelManifest
from proto.subjects import STREAMS
from tests.support.waiting import eventually

ACK_WAIT_S = 3.0


@contextmanager
def frozen(supervisor: Supervisor, name: str) -> Iterator[None]:
    """Stop a server's process and its children (PostgreSQL's serve the connections), and let them go on at the end."""
    pids = [supervisor.pids[name], *children_of(supervisor.pids[name])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


async def killed_and_back(supervisor: Supervisor, name: str, *, within_s: float) -> None:
    """SIGKILL, then wait until the supervisor's next one serves."""
    old = supervisor.pids[name]
    os.kill(old, signal.SIGKILL)

    async def back() -> bool:
        running = supervisor.children[name]
        return running.pid not in (None, old) and running.ready.is_set()

    await eventually(back, what=f"{name} is back", within_s=within_s)


@dataclass(frozen=True)
class TestServers:
    """The running three, provisioned and migrated. Addresses as `doppel up` would hand them to a service."""

    __test__ = False  # pytest: the name is not a test's

    running: Servers

    @property
    def nats_url(self) -> str:
        """The bus, with user and password"""
        return self.running.nats_url

    @property
    def postgres_dsn(self) -> str:
        """The database, as the superuser."""
        return self.running.dsn()

    def dsn(self, role: str) -> str:
        """The database as ``gateway``, ``scraper``, ``trainer``, ``inference`` or ``reader``."""
        return self.running.dsn(role)

    @property
    def s3(self) -> StorageSettings:
        """The bucket."""
        return self.running.storage_settings()

    @property
    def bus(self) -> BusSettings:
        """The bus; the ack wait is short."""
        return self.running.bus_settings(ACK_WAIT_S)

    def settings(self, role: str) -> SharedSettings:
        """What a service of that name would read."""
        return SharedSettings(**self.fields(role))

    def fields(self, role: str) -> dict[str, object]:
        """Fields of SharedSettings, for a service's own class: ``Settings(**servers.fields("trainer"))``."""
        user = OPS if role == READER else role  # the command reads tables, and is the operator elsewhere
        bus = self.running.bus_settings(ACK_WAIT_S, user=user)
        bucket = self.running.storage_settings(user)
        shared = bus.model_dump() | bucket.model_dump() | {"health_port": 0}
        return shared | {"postgres_dsn": SecretStr(self.dsn(role)), "base_model": "tiny"}

    def environment(self, role: str) -> dict[str, str]:
        """The same as variables, for a service that a test starts as a process."""
        values = {k: v for k, v in self.fields(role).items() if v is not None}
        plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for k, v in values.items()}
        return {f"DOPPEL_{name.upper()}": value for name, value in plain.items()}

    async def clean(self) -> None:
        """Empty every stream and table, and the bucket below ``workspaces/``: for the start of a test."""
        await self.purge()
        await self.truncate()
        await self.empty_bucket()

    async def purge(self) -> None:
        """Empty every stream. Message ids stay known for ten minutes: use new ones in each test."""
        client = await open_client(self.bus)
        try:
            jetstream = jetstream_of(client)
            for stream in STREAMS:
                await jetstream.purge_stream(stream.name)
        finally:
            await client.close()

    async def truncate(self) -> None:
        """Empty every table of the services."""
        connection = await asyncpg.connect(self.postgres_dsn)
        try:
            found = await connection.fetch(
                "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = any($1)",
                list(SERVICES),
            )
            if found:
                await connection.execute(
                    f"truncate {', '.join(row['name'] for row in found)} restart identity cascade"
                )
        finally:
            await connection.close()

    async def empty_bucket(self) -> None:
        """Delete every workspace's objects; base models stay."""
        storage = Storage(self.s3)
        try:
            await storage.delete(await storage.list_keys("workspaces/"))
        finally:
            storage.close()


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[TestServers]:
    """Bus, database and bucket, empty but provisioned; stopped when the run ends."""
    home = Home(tmp_path_factory.mktemp("servers") / ".doppel")
    home.make()
    async with Supervisor(home) as supervisor:
        running = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync=False)
        await running.start()
        await running.set_up(ack_wait_s=ACK_WAIT_S)
        try:
            yield TestServers(running)
        finally:
            await running.stop()


@pytest.fixture
async def clean(servers: TestServers) -> TestServers:
    """The servers, emptied for this test."""
    await servers.clean()
    return servers


@pytest.fixture(scope="session")
async def storage(servers: TestServers) -> AsyncGenerator[Storage]:
    """The bucket."""
    opened = Storage(servers.s3)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
async def tiny_base(
    servers: TestServers, storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> BaseModelManifest:
    """The tests' base model, in the bucket."""
    return await prepare(storage, "tiny", tmp_path_factory.mktemp("base-model"))
