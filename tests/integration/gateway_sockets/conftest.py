"""Two gateways without a public address: everything comes over their sockets."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """As the gateway's own rig, with Socket Mode on."""
    await servers.clean()
    async with open_rig(
        servers,
        tmp_path_factory.mktemp("sockets"),
        playground={"socket_mode": "only", "gateway_urls": [], "delivery_timeout_s": 3.0},
        gateway={
            "DOPPEL_SLACK_APP_TOKEN": "xapp-playground-app",
            "DOPPEL_SLACK_SOCKETS": "2",
            "DOPPEL_SLACK_SIGNING_SECRET": "",
        },
    ) as rig:
        yield rig
