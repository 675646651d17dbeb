"""Two gateways on real servers, once for this folder."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """Playground, two replicas, and a test in the engine's place."""
    await servers.clean()
    async with open_rig(servers, tmp_path_factory.mktemp("gateways")) as rig:
        yield rig


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session
