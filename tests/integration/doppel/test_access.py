"""Each service is refused on a real bus, database and bucket what it doesn't need, and says so aloud."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable
from fnmatch import fnmatch
from pathlib import Path

import aiohttp
import asyncpg
import nats.errors
import pytest
from minio.error import S3Error
from nats.aio.client import Client
from pydantic import SecretStr

from doppel.bucket_access import RIGHTS
from doppel.bus import connect
from doppel.bus.access import SERVICES, inbox_of, streams_of
from doppel.bus.broker import jetstream_of, open_client
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.refusals import Refused
from doppel.settings import DatabaseSettings, TelemetrySettings
from doppel.storage import Storage
from proto.subjects import CONSUMERS, STREAMS, SUBJECTS
from tests.support.servers import TestServers
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
SHORT_S = 0.5  # a refusal is an error frame at once; the request itself only times out


class Listener:
    """A connection as a service, and what the server refused it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.client: Client

    async def on_error(self, error: Exception) -> None:
        self.heard.append(str(error).lower())

    async def saw(self, what: str) -> None:
        """Wait for the refusal that names `what`."""

        async def said() -> bool:
            return any("permissions violation" in line and what.lower() in line for line in self.heard)

        await eventually(said, what=f"a refusal of {what}")


@pytest.fixture(params=SERVICES)
async def as_service(
    request: pytest.FixtureRequest, servers: TestServers
) -> AsyncGenerator[tuple[str, Listener]]:
    service = str(request.param)
    refused = Listener()
    refused.client = await open_client(
        servers.running.bus_settings(user=service), user=service, on_error=refused.on_error
    )
    yield service, refused
    await refused.client.close()


async def test_a_service_publishes_nothing_that_is_not_its_own(as_service: tuple[str, Listener]) -> None:
    service, refused = as_service
    foreign = [
        s for s in SUBJECTS if s.stream and service not in s.senders and not s.name.endswith(".result")
    ]
    assert foreign
    for subject in foreign:
        await refused.client.publish(subject.name, b"{}")
        await refused.saw(f'publish to "{subject.name}"')


async def test_a_service_manages_no_stream_and_pulls_from_nobody_elses_durable(
    as_service: tuple[str, Listener],
) -> None:
    service, refused = as_service
    others = [c for c in CONSUMERS if c.service != service]
    foreign = [name for name in (s.name for s in STREAMS) if name not in streams_of(service)]
    calls = [f"$JS.API.STREAM.{verb}.{s.name}" for s in STREAMS for verb in ("DELETE", "PURGE", "UPDATE")]
    calls += [
        f"$JS.API.STREAM.{verb}.{name}" for name in foreign for verb in ("INFO", "MSG.GET", "MSG.DELETE")
    ]
    calls += [f"$JS.API.CONSUMER.MSG.NEXT.{c.stream}.{c.durable}" for c in others]
    calls += [f"$JS.ACK.{c.stream}.{c.durable}.1.1.1.1.0" for c in others]
    for call in calls:
        await refused.client.publish(call, b"")
        await refused.saw(f'publish to "{call}"')


async def test_a_service_overhears_nobody(as_service: tuple[str, Listener]) -> None:
    service, refused = as_service
    other = next(name for name in SERVICES if name != service)
    for subject in ("slack.>", "dead.>", "persona.request", "_INBOX.>", f"{inbox_of(other)}.>", ">"):
        await refused.client.subscribe(subject)
        await refused.saw(f'subscription to "{subject}"')


async def test_a_service_still_sees_its_own_durables(as_service: tuple[str, Listener]) -> None:
    service, refused = as_service
    jetstream = jetstream_of(refused.client, 5)
    for consumer in CONSUMERS:
        if consumer.service == service:
            info = await jetstream.consumer_info(consumer.stream, consumer.durable)
            assert info.name == consumer.durable
    assert refused.heard == []


async def test_what_the_bus_refuses_is_told_by_readiness(servers: TestServers) -> None:
    settings = servers.running.bus_settings(user="trainer")
    async with Lifecycle("trainer", TelemetrySettings(health_port=0)) as life:
        async with connect(life, settings, durables_of="trainer") as connection:
            life.add_check("bus", connection.check)
            life.ready()
            assert await readiness(life) == (200, "")
            with pytest.raises((TimeoutError, nats.errors.Error)):
                await connection.bus.publish_bytes(
                    "slack.event", b"{}", "SLACK_EVENT", "refused", timeout_s=SHORT_S, tries=1
                )

            async def told() -> bool:
                status, reason = await readiness(life)
                return status == 503 and "slack.event" in reason.lower()

            await eventually(told, what="readiness that names what was refused")
        life.stop()


async def readiness(life: Lifecycle) -> tuple[int, str]:
    """What /health/ready says."""
    url = f"http://127.0.0.1:{life.health_port}/health/ready"
    async with asyncio.timeout(10), aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, (await response.json()).get("reason", "")


def key_of(pattern: str) -> str:
    """A key that a pattern covers."""
    return pattern.replace("*", "T1", 1).replace("*", "U1", 1).replace("*", "x/y", 1).replace("*", "z")


@pytest.mark.parametrize("user", RIGHTS)
async def test_a_service_reads_writes_and_deletes_what_it_needs_of_the_bucket_and_no_more(
    servers: TestServers, storage: Storage, user: str
) -> None:
    own = Storage(servers.running.storage_settings(user))
    everything = {p for rights in RIGHTS.values() for p in (*rights.read, *rights.write)}
    try:
        for pattern in everything - {"*"}:
            key, rights = key_of(pattern), RIGHTS[user]
            await storage.put_bytes(key, b"there")
            assert await allowed(own.get_bytes(key)) == any(fnmatch(key, p) for p in rights.read), (user, key)
            may_write = any(fnmatch(key, p) for p in rights.write)
            assert await allowed(own.put_bytes(key, b"new")) == may_write, (user, key)
            assert await allowed(own.delete([key])) == may_write, (user, key)
            assert await storage.exists(key) != may_write
            await storage.delete([key])
        assert await allowed(own.list_keys("workspaces/"))
        assert not await own.exists(f"{key_of(RIGHTS[user].read[0])}/missing")
    finally:
        own.close()


async def test_what_the_bucket_refuses_is_told_by_readiness(servers: TestServers) -> None:
    own = Storage(servers.running.storage_settings("inference"))
    try:
        await own.check()
        assert not await allowed(own.put_bytes("workspaces/T1/corpora/x/1/a", b"no"))
        with pytest.raises(Refused, match="S3 refused us"):
            await own.check()
    finally:
        own.close()


async def test_what_the_database_refuses_is_told_by_readiness(servers: TestServers) -> None:
    database = Database(DatabaseSettings(postgres_dsn=SecretStr(servers.dsn("inference"))))
    await database.open()
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.fetch("select * from gateway.installations")
        with pytest.raises(Refused, match="permission denied for table installations"):
            await database.check()
    finally:
        await database.close()


READS = {  # of other services' tables, as the design says; the rest is refused
    "gateway": {"scraper.corpora", "scraper.datasets", "trainer.runs", "trainer.adapters"},
    "scraper": {"gateway.installations", "gateway.consents_now", "gateway.forgotten", "trainer.runs"},
    "trainer": {"gateway.consents_now", "gateway.active_adapters", "scraper.datasets"},
    "inference": {"gateway.active_adapters", "trainer.adapters"},
}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_role_reads_what_it_was_granted_and_writes_only_its_own_tables(
    servers: TestServers, service: str
) -> None:
    connection = await asyncpg.connect(servers.dsn(service))
    try:
        rows = await connection.fetch(
            """select n.nspname || '.' || c.relname as name, n.nspname as schema,
                      has_table_privilege(c.oid, 'select') as reads,
                      has_table_privilege(c.oid, 'insert, update, delete, truncate') as writes
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = any($1) and c.relkind in ('r', 'v')""",
            list(SERVICES),
        )
        foreign = [row for row in rows if row["schema"] != service]
        assert not [row["name"] for row in foreign if row["writes"]]
        assert {row["name"] for row in foreign if row["reads"]} == READS[service]
        for statement in (
            f"create table {service}.more (x int)",
            "create table public.x (x int)",
            "create temp table x (x int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def allowed(call: Awaitable[object]) -> bool:
    """Whether the bucket lets us."""
    try:
        await call
    except (S3Error, OSError) as error:  # OSError: of one object of a deletion
        if "AccessDenied" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("service", "variable", "named"),
    [
        ("scraper", "DOPPEL_NATS_PASSWORD", "DOPPEL_NATS_PASSWORD"),
        ("scraper", "DOPPEL_POSTGRES_DSN", "DOPPEL_POSTGRES_DSN"),
        ("trainer", "DOPPEL_S3_SECRET_KEY", "DOPPEL_S3_SECRET_KEY"),
    ],
)
async def test_a_service_with_a_wrong_password_ends_with_one_sentence(
    servers: TestServers, service: str, variable: str, named: str
) -> None:
    environment = servers.environment(service)
    wrong = environment["DOPPEL_POSTGRES_DSN"].replace(f"{service}:", f"{service}:not-", 1)
    environment[variable] = wrong if variable == "DOPPEL_POSTGRES_DSN" else "wrong"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        _, said = await child.communicate()
    assert child.returncode == 2, said
    last = said.decode().strip().splitlines()[-1]
    assert named in last
    assert b"Traceback" not in said
    assert "wrong" not in last
