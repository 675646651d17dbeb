"""Somebody says stop: within five seconds there is an answer, wherever the scrape is."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from playground.app import Running
from proto.generate import Cancel
from proto.scrape import ScrapeResult
from tests.integration.scraper.desk import Desk
from tests.integration.scraper.histories import write_long_export, write_long_text
from tests.integration.scraper.test_faults import fault
from tests.support.waiting import eventually

SOON_S = 5.0


async def stop(desk: Desk, request_id: UUID) -> ScrapeResult:
    """Say stop; the answer came within five seconds."""
    began = time.monotonic()
    await desk.bus.publish_core(f"scrape.cancel.{request_id}", Cancel())
    result = await desk.result(request_id, within_s=SOON_S)
    assert time.monotonic() - began < SOON_S
    assert result.error is not None
    assert result.error.code == "cancelled"
    return result


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_long_text, "long.jsonl"), (write_long_export, "long.zip")],
    ids=["text", "export"],
)
async def test_a_reading_of_a_file_is_stopped_and_leaves_nothing(
    desk: Desk, tmp_path: Path, write: Callable[[Path], Path], name: str
) -> None:
    path = await asyncio.to_thread(write, tmp_path / name)
    await desk.start()
    request_id = await desk.ask(await desk.upload(path))
    await eventually(lambda: desk.progress(request_id), what="it is under way")

    await stop(desk, request_id)

    await eventually(desk.settled, what="the request is settled")
    assert await desk.corpora() == 0
    assert await desk.storage.list_keys("workspaces/T0DOPPEL/corpora/") == []
    assert not list(desk.shared.scratch.iterdir())


async def test_one_that_waits_in_the_queue_is_answered_at_once(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, delay_s=0.5)
    await desk.install()
    await desk.start(**api)
    busy = [await desk.ask("api", window={"oldest": f"2020-01-0{day}T00:00:00Z"}) for day in (1, 2)]

    async def both_loops_are_busy() -> bool:
        return await desk.progress_rows() == 2

    await eventually(both_loops_are_busy, what="both loops are busy")
    waiting = await desk.ask("corpus:latest", user_id="U0ADA", then_train=True)

    result = await stop(desk, waiting)

    assert (result.user_id, result.source, result.then_train) == ("U0ADA", "corpus:latest", True)
    for request_id in busy:
        await stop(desk, request_id)
    await eventually(desk.settled, what="every request is settled")
    assert len(await desk.facts_of_results(waiting)) == 1


async def test_one_that_waits_for_another_ones_reading_is_stopped_and_the_other_goes_on(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=30, delay_s=0.5)
    await desk.install()
    await desk.start(**api)
    first = await desk.ask("api")
    await eventually(desk.progress_rows, what="the first reads")
    second = await desk.ask("api")
    await eventually(lambda: desk.said("message returned"), what="the second waits")

    await stop(desk, second)

    assert (await desk.result(first)).error is None


async def test_one_that_shares_goes_on_by_itself_when_the_first_is_stopped(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=30, delay_s=0.5)
    await desk.install()
    for _ in range(3):
        await desk.start(**api)
    first = await desk.ask("api")
    await eventually(desk.progress_rows, what="the first reads")
    second = await desk.ask("api")

    await stop(desk, first)

    result = await desk.result(second)
    assert result.error is None
    assert result.message_count > 0


async def test_one_that_shares_goes_on_by_itself_when_the_first_ones_replica_dies(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=30, delay_s=0.5)
    await desk.install()
    dying = await desk.start(**api)
    first = await desk.ask("api")
    await eventually(desk.progress_rows, what="the first reads")
    for _ in range(2):
        await desk.start(**api)
    second = await desk.ask("api")

    dying.kill()

    results = [await desk.result(each) for each in (first, second)]
    assert [result.error for result in results] == [None, None]
    assert results[0].corpus_id == results[1].corpus_id
    assert await desk.corpora() == 1


async def test_one_that_another_replica_holds_is_stopped_by_its_row_alone(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, delay_s=0.5)
    await desk.install()
    await desk.start(**api)
    request_id = await desk.ask("api")
    await eventually(desk.progress_rows, what="the scrape is held")

    await desk.database.execute(  # as a replica does that heard what the holder did not
        "update scraper.scrapes set state = 'cancelled' where request_id = $1", request_id
    )

    result = await desk.result(request_id, within_s=SOON_S)
    assert result.error is not None
    assert result.error.code == "cancelled"


async def test_one_whose_replica_died_is_stopped_before_its_lease_runs_out(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, delay_s=0.5)
    await desk.install()
    dying = await desk.start(**api, scrape_lease_s=45)
    request_id = await desk.ask("api")
    await eventually(desk.progress_rows, what="the scrape is held")
    await desk.start(**api, scrape_lease_s=45)
    dying.kill()

    await stop(desk, request_id)

    await eventually(desk.settled, what="the request is settled")
    assert len(await desk.facts_of_results(request_id)) == 1


async def test_stopping_twice_or_too_late_changes_nothing(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    request_id = await desk.ask(await desk.upload(export_zip))
    result = await desk.result(request_id)
    unknown = uuid4()

    for about in (request_id, unknown, request_id, unknown):
        await desk.bus.publish_core(f"scrape.cancel.{about}", Cancel())
    await desk.bus.publish_core("scrape.cancel.no-id-at-all", Cancel())

    await eventually(lambda: desk.state_of(unknown), what="the cancel is noted")
    assert await desk.state_of(request_id) == "done"
    assert await desk.facts_of_results(request_id) == [result]
    assert await desk.facts_of_results(unknown) == []
