"""Two gateways on real servers, once for this folder."""

import socket
from collections.abc import AsyncGenerator

import aiohttp
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from doppel.bus import Bus
from doppel.bus.broker import jetstream_of, open_client
from playground.app import start
from playground.settings import Settings
from tests.integration.gateway.rig import CLAIM_S, SECRET, SETTLE_S, SLACK_S, Engine, Replica, Rig
from tests.support.servers import TestServers
from tests.support.story import Workspace


def a_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """Playground, two replicas, and a test in the engine's place."""
    await servers.clean()
    folder = tmp_path_factory.mktemp("gateways")
    ports = [a_port(), a_port()]
    playground = await start(
        Settings(
            port=0,
            message_count=300,
            signing_secret=SecretStr(SECRET),
            gateway_urls=[f"http://127.0.0.1:{port}" for port in ports],
            retry_scale=0.01,
            nats_url=None,
        )
    )
    shared = servers.environment("gateway") | {
        "DOPPEL_SLACK_API_URL": f"{playground.url}/api/",
        "DOPPEL_SLACK_BOT_TOKEN": "xoxb-playground-bot",
        "DOPPEL_SLACK_SIGNING_SECRET": SECRET,
        "DOPPEL_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DOPPEL_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
        "DOPPEL_TRAIN_ON_SLACK_API": "i-have-slacks-permission",
        "DOPPEL_CLAIM_TTL_S": str(CLAIM_S),
        "DOPPEL_SLACK_TIMEOUT_S": str(SLACK_S),
        "DOPPEL_SETTLE_S": str(SETTLE_S),
        "DOPPEL_SWEEP_EVERY_S": "0.3",
        "DOPPEL_PROGRESS_EVERY_S": "0.1",
        "DOPPEL_LINGER_S": "0.2",
        "DOPPEL_LOG_LEVEL": "DEBUG",
    }
    replicas: list[Replica] = []
    for number, port in enumerate(ports):
        health = a_port()
        own = {"DOPPEL_GATEWAY_PORT": str(port), "DOPPEL_HEALTH_PORT": str(health)}
        replicas.append(Replica(port, health, shared | own, folder / f"gateway-{number}.log"))
    client = await open_client(servers.bus)
    jetstream = jetstream_of(client)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        for replica in replicas:
            await replica.start(http)
        yield Rig(
            servers,
            playground,
            Workspace(http, playground.url),
            replicas,
            Engine(Bus(client, jetstream), jetstream),
        )
        codes = [await replica.stop() for replica in replicas]
    await client.close()
    await playground.stop()
    assert codes == [0, 0]


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session
