"""nats-server, PostgreSQL and S3 killed with -9: each comes back, and nothing that was acknowledged is gone."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import asyncpg
import pytest

from doppel.bus.broker import jetstream_of, open_client
from doppel.local.home import Home, Ports
from doppel.local.processes import Identity
from doppel.local.servers import NAMES, Servers
from doppel.local.supervisor import Supervisor
from doppel.storage import Storage
from tests.support.servers import killed_and_back
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Own:
    """Servers of these tests alone: the session's are not to be killed."""

    servers: Servers
    supervisor: Supervisor

    async def kill(self, name: str) -> None:
        """SIGKILL, then wait until the next life serves."""
        await killed_and_back(self.supervisor, name, within_s=30)


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Own]:
    home = Home(tmp_path_factory.mktemp("own") / ".doppel")
    home.make()
    async with Supervisor(home) as supervisor:
        servers = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync=True)
        await servers.start()
        await servers.set_up()
        yield Own(servers, supervisor)
        identities = {name: Identity.of(pid) for name, pid in supervisor.pids.items()}
        await servers.stop()
    assert set(identities) == set(NAMES)
    assert not [name for name, identity in identities.items() if identity is None or identity.is_alive()]
    assert not list(home.run.iterdir())


async def test_an_acknowledged_message_survives(own: Own) -> None:
    client = await open_client(own.servers.bus_settings())
    try:
        ack = await jetstream_of(client).publish("scrape.request", b"{}", stream="SCRAPE_REQUEST")
        await own.kill("nats")

        async def kept() -> bytes | None:
            if not client.is_connected:
                return None
            return (await jetstream_of(client).get_msg("SCRAPE_REQUEST", seq=ack.seq)).data

        assert await eventually(kept, what="the message") == b"{}"
    finally:
        await client.close()


async def test_a_committed_row_survives(own: Own) -> None:
    insert = "insert into gateway.personas (team_id, user_id, name) values ('T1', 'U1', 'one')"
    for statement in (insert, "select name from gateway.personas"):
        connection = await asyncpg.connect(own.servers.dsn())
        try:
            value = await connection.fetchval(statement)
        finally:
            await connection.close()
        if statement == insert:
            await own.kill("postgres")
        else:
            assert value == "one"


async def test_a_stored_object_survives(own: Own) -> None:
    storage = Storage(own.servers.storage_settings())
    try:
        await storage.put_bytes("workspaces/T1/x", b"kept")
        await own.kill("s3")
        assert await storage.get_bytes("workspaces/T1/x") == b"kept"
    finally:
        storage.close()


async def test_setting_up_again_changes_nothing(own: Own) -> None:
    await own.servers.set_up()
