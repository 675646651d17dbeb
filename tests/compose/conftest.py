"""One compose project for all of these tests: images built from this checkout, volumes deleted at the end."""

from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest

from tests.support.compose import Project, why_no_engine
from tests.support.story import Workspace


@pytest.fixture(scope="package")
async def project(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Project]:
    """Up: two replicas of inference, one of everything else, and the playground."""
    reason = await why_no_engine()
    if reason is not None:
        pytest.skip(f"compose is tested where a Docker engine answers: {reason}")
    log: Path = tmp_path_factory.mktemp("compose") / "compose.log"
    found = Project("doppel-test", log)
    try:
        await found.compose("down", "-v", "--remove-orphans", timeout_s=200)  # of a run that was killed
        await found.compose("build", "-q", timeout_s=3000)
        await found.up("--scale", "inference=2")
        yield found
    finally:
        await found.compose("--profile", "tools", "down", "-v", "--remove-orphans", timeout_s=300)


@pytest.fixture(scope="package")
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def workspace(project: Project, http: aiohttp.ClientSession) -> Workspace:
    """The playground: its port is another one after each start."""
    return Workspace(http, await project.url("playground", 8090))
