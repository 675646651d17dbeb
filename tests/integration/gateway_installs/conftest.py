"""Two gateways that workspaces install by OAuth; tokens end, so that they are renewed."""

from collections.abc import AsyncGenerator

import pytest

from tests.integration.gateway.rig import Rig, open_rig
from tests.support.servers import TestServers

CLIENT = {
    "DOPPEL_SLACK_CLIENT_ID": "playground-client",
    "DOPPEL_SLACK_CLIENT_SECRET": "playground-client-secret",
}


@pytest.fixture(scope="package")
async def rig(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """Two further workspaces and their organisation; the first workspace has its token from the settings."""
    await servers.clean()
    async with open_rig(
        servers,
        tmp_path_factory.mktemp("installs"),
        playground={
            "other_teams": ["T1OTHER", "T2OTHER", "T3OTHER"],
            "enterprise_id": "E0ORG",
            "token_rotation": True,
        },
        gateway=CLIENT,
    ) as rig:
        yield rig
