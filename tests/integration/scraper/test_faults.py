"""Processes die, Slack says wait, somebody says stop: the scrape ends once, with every message once."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp

from playground.app import Running
from proto import subjects
from proto.generate import Cancel
from tests.integration.scraper.desk import Desk
from tests.integration.scraper.test_scrapes import public_truth
from tests.support.waiting import eventually


async def fault(slack: Running, **fields: Any) -> None:
    """Flip one of the playground's switches."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.url}/playground/faults", json=fields) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def pages_saved(desk: Desk) -> int:
    return await desk.database.fetchval("select count(*) from scraper.pages")


async def whole(desk: Desk, slack: Running, request_id: Any) -> None:
    """The corpus holds every public message once."""
    result = await desk.result(request_id)
    assert result.error is None
    _, _, messages = await desk.corpus(result)
    assert sorted((m.channel_id, m.ts) for m in messages) == sorted(public_truth(slack))
    await eventually(desk.settled, what="the request is settled")
    assert len(await desk.facts_of_results(request_id)) == 1


async def test_rate_limits_and_failing_pages_are_waited_out(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.history", kind="ratelimited", count=2, retry_after=1)
    await fault(slack, on="conversations.replies", kind="ratelimited", count=3, skip=5, retry_after=1)
    await fault(slack, on="conversations.replies", kind="status", count=2, skip=20)
    await fault(slack, on="users.list", kind="html", count=1)
    await fault(slack, on="conversations.history", kind="reset_before", count=1, skip=2)
    await fault(slack, on="conversations.join", kind="error", error="internal_error", count=1)
    await desk.install()
    await desk.start(**api)

    request_id = await desk.ask("api")

    await whole(desk, slack, request_id)
    learned = await desk.database.fetch("select method from scraper.budgets where updated_at is not null")
    assert {"conversations.history", "conversations.replies"} <= {row["method"] for row in learned}


async def test_a_killed_replicas_scrape_is_finished_by_another_from_its_last_page(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, skip=40, delay_s=0.2)
    await desk.install()
    first = await desk.start(**api, slack_calls_at_once=1)
    request_id = await desk.ask("api")
    await eventually(lambda: pages_saved(desk), what="a page is saved", within_s=60)

    first.kill()
    await first.wait()
    saved = await desk.database.fetch("select channel_id from scraper.pages where root_ts = '' and is_last")
    async with aiohttp.ClientSession() as session:
        await session.delete(f"{slack.url}/playground/faults")
        await session.delete(f"{slack.url}/playground/history")
    await desk.start(**api)

    await whole(desk, slack, request_id)
    assert await desk.database.fetchval("select fence from scraper.scrapes") == 2
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{slack.url}/playground/history?name=conversations.history") as answer,
    ):
        read_again = await answer.text()
    for row in saved:
        assert row["channel_id"] not in read_again


async def test_sigterm_hands_the_scrape_over_and_ends_cleanly(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, delay_s=0.3)
    await desk.install()
    first = await desk.start(**api)
    request_id = await desk.ask("api")
    await eventually(lambda: desk.progress_rows(), what="the scrape is claimed")

    first.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await first.wait() == 0
    assert not list(desk.shared.scratch.iterdir())
    async with aiohttp.ClientSession() as session:
        await session.delete(f"{slack.url}/playground/faults")
    await desk.start(**api)

    await whole(desk, slack, request_id)
    assert await desk.database.fetchval("select given_back from scraper.scrapes") == 1


async def test_a_cancelled_scrape_stops_and_says_so(
    desk: Desk, slack: Running, api: dict[str, object]
) -> None:
    await fault(slack, on="conversations.replies", kind="slow", count=None, delay_s=0.5)
    await desk.install()
    await desk.start(**api)
    request_id = await desk.ask("api")
    await eventually(lambda: desk.progress_rows(), what="the scrape is claimed")

    await desk.bus.publish_core(f"scrape.cancel.{request_id}", Cancel())

    result = await desk.result(request_id, within_s=5)
    assert result.error is not None
    assert result.error.code == "cancelled"
    await eventually(desk.settled, what="the request is settled")
    assert await desk.database.fetchval("select state from scraper.scrapes") == "cancelled"


async def test_a_scrape_that_keeps_killing_its_holder_is_parked(desk: Desk, export_zip: Path) -> None:
    source = await desk.upload(export_zip)
    request_id = await desk.ask(source)
    await desk.database.execute(
        """insert into scraper.scrapes (request_id, team_id, source, fence, holder, lease_until)
           values ($1, 'T0DOPPEL', $2, 12, 'gone', now() - interval '1 minute')""",
        request_id,
        source,
    )
    await desk.serve()

    result = await desk.result(request_id)

    assert result.error is not None
    assert result.error.code == "crashed"
    await eventually(desk.settled, what="the request is settled")
    assert await desk.dead("scrape.request") == 1


async def test_what_is_no_request_is_parked_with_its_bytes_and_the_next_one_is_served(
    desk: Desk, export_zip: Path
) -> None:
    await desk.serve()
    for data in (b"[" * 3000, b"\xff\xfe", b'{"team_id": "../../x", "source": "api"}', b'{"source": 7}'):
        await desk.raw(subjects.SCRAPE_REQUEST, data)
    result = await desk.result(await desk.ask(await desk.upload(export_zip)))
    assert result.error is None
    assert await desk.dead("scrape.request") == 4
