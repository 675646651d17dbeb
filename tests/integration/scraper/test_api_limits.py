"""Slack's rate limits: kept from the first call on, slow mode found out, nothing asked twice after a kill."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from playground.app import Running
from proto.generate import Cancel
from tests.integration.scraper.apibox import Workspace, keys, read
from tests.integration.scraper.desk import Desk
from tests.support.desk import end
from tests.support.servers import frozen
from tests.support.waiting import eventually


@pytest.fixture
async def box(desk: Desk, slack: Running) -> Workspace:
    await desk.install()
    return Workspace(slack)


def everything(box: Workspace) -> set[tuple[str, str]]:
    return {(channel, ts) for channel, ts, _ in box.truth()}


async def test_the_pace_is_kept_so_that_slack_never_says_wait(
    desk: Desk, box: Workspace, api: dict[str, object]
) -> None:
    await box.control("PUT", "limits", mode="slack", clock_scale=300)
    await desk.start(**api | {"slack_rate_scale": 300})

    result = await read(desk)

    assert await keys(desk, result) == everything(box)
    assert (await box.control("GET", "calls"))["limited"] == {}
    progress = await desk.progress(result.request_id)
    assert progress[-1].requests > 20
    assert any(each.eta_s is not None for each in progress)
    assert not any(each.slow_mode for each in progress)


async def test_slow_mode_is_found_out_and_said(desk: Desk, box: Workspace, api: dict[str, object]) -> None:
    for name in ("general", "random", "support", "design"):
        del box.slack.workspace.channels[box.channel(name).id]
    await box.control("PUT", "limits", mode="distributed", clock_scale=600)
    await desk.start(**api | {"slack_rate_scale": 600})

    result = await desk.result(await desk.ask("api"), within_s=120)

    assert result.error is None
    assert await keys(desk, result) == everything(box)
    assert "slow mode" in desk.log()
    calls = await box.calls("conversations.history")
    assert {int(call["request"]["limit"]) for call in calls} == {999, 15}
    progress = await desk.progress(result.request_id)
    assert any(each.slow_mode for each in progress)
    told = [each.eta_s for each in progress if each.slow_mode and each.eta_s]
    assert max(told) > 60 / 600 * len(calls) / 2


async def test_a_scrape_that_waits_for_its_minute_can_be_stopped(
    desk: Desk, box: Workspace, api: dict[str, object]
) -> None:
    await box.control("PUT", "limits", mode="distributed")
    await desk.start(**api | {"slack_rate_scale": 1})
    request_id = await desk.ask("api")

    async def slow() -> bool:
        return await desk.database.fetchval(
            "select exists (select from scraper.budgets where interval_s > 60)"
        )

    await eventually(slow, what="slow mode", within_s=60)

    await desk.bus.publish_core(f"scrape.cancel.{request_id}", Cancel())

    result = await desk.result(request_id, within_s=5)
    assert result.error is not None
    assert result.error.code == "cancelled"


async def test_a_long_wait_that_was_no_slow_mode_is_forgotten(
    desk: Desk, box: Workspace, api: dict[str, object]
) -> None:
    await box.control("POST", "faults", on="conversations.history", kind="ratelimited", retry_after=31)
    await desk.start(**api)

    result = await desk.result(await desk.ask("api"), within_s=90)

    assert result.error is None
    assert await keys(desk, result) == everything(box)
    slow = await desk.database.fetchval("select max(interval_s) from scraper.budgets")
    assert slow < 60 * 1.25 / 1000


async def test_a_kill_repeats_two_requests_a_channel_at_most(
    desk: Desk, box: Workspace, api: dict[str, object], tmp_path: Path
) -> None:
    await box.control("PUT", "limits", mode="slack", clock_scale=120)
    first = await desk.start(**api | {"slack_rate_scale": 120})
    request_id = await desk.ask("api")

    async def half_way() -> bool:
        return (await box.asked("conversations.replies")).total() >= 60

    await eventually(half_way, what="threads are read", within_s=60)
    first.kill()
    await first.wait()
    await desk.start(**api | {"slack_rate_scale": 120})

    result = await desk.result(request_id)
    assert await keys(desk, result) == everything(box)
    for method in ("conversations.history", "conversations.replies"):
        assert repeated(await box.calls(method)) <= 2
    assert await desk.database.fetchval("select fence from scraper.scrapes") == 2


def repeated(calls: list[dict[str, Any]]) -> int:
    """The most that any channel was asked again."""
    by_channel: dict[str, int] = {}
    for call in calls:
        channel = call["request"]["channel"]
        by_channel[channel] = by_channel.get(channel, 0) + call["count"] - 1
    return max(by_channel.values(), default=0)


async def test_a_token_that_ran_out_is_read_again_and_nothing_is_asked_twice(
    desk: Desk, box: Workspace, api: dict[str, object]
) -> None:
    await box.control(
        "POST", "faults", on="conversations.replies", kind="error", error="token_expired", skip=10
    )
    await desk.start(**api)
    request_id = await desk.ask("api")

    async def expired() -> bool:
        faults = (await box.control("GET", "faults"))["faults"]
        return faults[0]["left"] == 0

    await eventually(expired, what="the token runs out")
    await desk.install()  # the gateway renews it

    result = await desk.result(request_id)
    assert result.error is None
    assert await keys(desk, result) == everything(box)
    assert max((await box.asked("conversations.history")).values()) == 1


@pytest.mark.parametrize("name", ["postgres", "s3", "nats"])
async def test_a_server_that_is_away_for_a_while_costs_nothing_but_time(
    desk: Desk, box: Workspace, api: dict[str, object], name: str
) -> None:
    await box.control("PUT", "limits", mode="slack", clock_scale=120)
    replica = await desk.start(**api | {"slack_rate_scale": 120})
    request_id = await desk.ask("api")

    async def begun() -> bool:
        return (await box.asked("conversations.replies")).total() >= 20

    await eventually(begun, what="threads are read", within_s=60)
    with frozen(desk.servers.running.supervisor, name):
        await asyncio.sleep(3)  # the outage itself

    result = await desk.result(request_id, within_s=90)
    assert result.error is None
    assert await keys(desk, result) == everything(box)
    await eventually(desk.settled, what="the request is settled", within_s=60)
    assert len(await desk.facts_of_results(request_id)) == 1
    await end(replica)
