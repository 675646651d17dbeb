"""Two gateways of their own for what goes wrong around them: channels go, servers are killed, Slack stumbles."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """Slack tries again after 0, 6 and 30 seconds, so that a restart on a busy machine is outlived."""
    await servers.clean()
    folder = tmp_path_factory.mktemp("trouble")
    async with open_rig(servers, folder, playground={"retry_scale": 0.1}) as rig:
        yield rig
