"""PostgreSQL, S3 or the bus restarts during a scrape: it ends once, whole, with nothing half-stored."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.scraper.desk import TEAM, Desk
from tests.integration.scraper.histories import write_long_text
from tests.support.servers import killed_and_back
from tests.support.waiting import eventually

MESSAGES = 150_000


@pytest.mark.parametrize("name", ["postgres", "s3", "nats"])
@pytest.mark.parametrize("stage", ["reading", "storing"])
async def test_a_scrape_outlives_a_restart(desk: Desk, tmp_path: Path, name: str, stage: str) -> None:
    path = await asyncio.to_thread(write_long_text, tmp_path / "long.jsonl", MESSAGES)
    await desk.start()
    source = await desk.upload(path)
    request_id = await desk.ask(source)

    async def there() -> bool:
        if stage == "storing":
            return bool(await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/"))
        return stage in [progress.stage for progress in await desk.progress(request_id)]

    await eventually(there, what=f"it is {stage}", within_s=90)
    await killed_and_back(desk.servers.running.supervisor, name, within_s=60)
    await desk.connect_again()

    result = await desk.result(request_id, within_s=120)

    assert result.error is None
    assert result.message_count == MESSAGES
    await eventually(desk.settled, what="the request is settled", within_s=60)
    assert await desk.corpora() == 1
    assert await desk.dead("scrape.request") == 0
    manifest, _, messages = await desk.corpus(result)
    assert len(messages) == manifest.message_count == MESSAGES
    fences = {key.split("/")[4] for key in await desk.storage.list_keys(f"workspaces/{TEAM}/corpora/")}
    assert await desk.database.fetchval("select fence::text from scraper.scrapes") in fences
