"""One stack for all of these tests, gone before others begin: two gateways, the rest once, the tiny model."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import aiohttp
import pytest
from nats.aio.client import Client

from tests.support.bus import BusReader
from tests.support.stack import QUICK, Stack
from tests.support.story import Workspace


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """`doppel up` until the last test; then it must leave cleanly, with nothing behind it."""
    home: Path = tmp_path_factory.mktemp("stack") / "home"
    running = Stack(home, QUICK, ("--scale", "gateway=2"))
    running.start()
    yield running
    code = running.stop()
    assert code == 0, f"`doppel up` ended with {code}"
    assert running.leftovers() == []


@pytest.fixture(scope="package")
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture(scope="package")
def workspace(stack: Stack, http: aiohttp.ClientSession) -> Workspace:
    """The playground of the stack."""
    return Workspace(http, stack.endpoints["playground_url"])


@pytest.fixture(scope="package")
async def bus(stack: Stack) -> AsyncGenerator[BusReader]:
    """A foreign NATS client, as somebody in ops would use it."""
    client = Client()
    await client.connect(
        servers=[stack.endpoints["nats_url"]], max_reconnect_attempts=-1, reconnect_time_wait=1
    )
    yield BusReader(client, client.jetstream(timeout=30))
    await client.close()
