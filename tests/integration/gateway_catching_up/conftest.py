"""Two gateways whose clock runs a hundred times as fast as Slack's: ten minutes are six seconds."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """As the gateway's own rig."""
    await servers.clean()
    async with open_rig(
        servers,
        tmp_path_factory.mktemp("catching_up"),
        gateway={
            "DOPPEL_CATCH_UP_AFTER_S": "2.4",
            "DOPPEL_LATE_AFTER_S": "6",
            "DOPPEL_TOO_LATE_S": "864",
            "DOPPEL_LISTEN_EVERY_S": "0.1",
        },
    ) as rig:
        yield rig
