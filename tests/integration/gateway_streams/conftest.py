"""Two gateways that stream their answers, once for this folder."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers

A_MINUTE = 2
STREAMING = {
    "DOPPEL_REPLY_MODE": "stream",
    "DOPPEL_STREAM_EVERY_S": "0.2",
    "DOPPEL_STREAMS_A_MINUTE": str(A_MINUTE),
}


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """Playground, two replicas, and a test in the engine's place."""
    await servers.clean()
    async with open_rig(servers, tmp_path_factory.mktemp("streams"), gateway=STREAMING) as rig:
        yield rig


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session
