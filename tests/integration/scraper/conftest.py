"""The scraper as a process beside real servers, and the playground as its Slack."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from doppel.storage import Storage
from playground.app import Running, start
from playground.settings import Settings as PlaygroundSettings
from proto.artifacts import BaseModelManifest
from tests.integration.scraper.desk import Desk, Shared
from tests.support.desk import opened
from tests.support.servers import TestServers


@pytest.fixture(scope="package")
async def shared_replica(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Shared]:
    """Ended after the last test of this folder."""
    shared = Shared(tmp_path_factory.mktemp("scraper"))
    shared.scratch.mkdir()
    yield shared
    await shared.stop()


@pytest.fixture
async def desk(
    clean: TestServers,
    storage: Storage,
    tiny_base: BaseModelManifest,
    tmp_path: Path,
    shared_replica: Shared,
) -> AsyncGenerator[Desk]:
    """The desk, servers empty but for the tiny base model."""
    async with opened(Desk, clean, storage, tmp_path, shared=shared_replica) as desk:
        yield desk


@pytest.fixture
async def slack() -> AsyncGenerator[Running]:
    """A playground with a small history."""
    running = await start(
        PlaygroundSettings(port=0, message_count=700, gateway_urls=["http://127.0.0.1:9"], nats_url=None)
    )
    yield running
    await running.stop()


@pytest.fixture
def api(slack: Running) -> dict[str, object]:
    """Settings of a scraper that may read the playground."""
    return {
        "slack_api_url": f"{slack.url}/api/",
        "train_on_slack_api": "i-have-slacks-permission",
        "slack_rate_scale": 1000,
    }


@pytest.fixture
def export_zip(tmp_path: Path) -> Path:
    """The synthetic workspace as an export."""
    from playground.export import write_export_zip
    from playground.synthetic import make_workspace

    path = tmp_path / "export.zip"
    write_export_zip(make_workspace(7, now=1_780_000_000, message_count=1_200), path)
    return path
