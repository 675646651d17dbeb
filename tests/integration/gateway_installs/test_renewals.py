"""Tokens are renewed ahead of their end, once, whoever asks; an organisation's goes to all its workspaces."""

import asyncio
import time
from typing import Any

from tests.integration.gateway.rig import Rig
from tests.integration.gateway_installs.browser import a_browser
from tests.integration.gateway_installs.test_installs import answered, called, in_team, installed, uninstall
from tests.support.waiting import eventually


async def settled_on(rig: Rig, place: str, generation: int) -> Any:
    async def renewed() -> Any:
        row = await installed(rig, place)
        return row if row["generation"] >= generation else None

    return await eventually(renewed, what="a new token", within_s=20)


async def test_a_token_is_renewed_two_hours_ahead_by_one_replica(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
    before = await installed(rig, "T1OTHER")
    await rig.workspace.ask("DELETE", "history")
    await rig.change(
        "update gateway.installations set expires_at = now() + interval '119 minutes' where team_id = 'T1OTHER'"
    )
    row = await settled_on(rig, "T1OTHER", before["generation"] + 1)
    await asyncio.sleep(2.5)  # two rounds of both replicas more
    assert (await installed(rig, "T1OTHER"))["generation"] == row["generation"] == before["generation"] + 1
    calls = (await rig.workspace.ask("GET", "calls", name="oauth.v2.access"))["calls"]
    assert sum(call["count"] for call in calls) == 1
    assert await answered(rig, in_team(rig, "T1OTHER"), "renewed") == "T1OTHER"


async def test_a_token_that_is_not_due_stays(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
    before = await installed(rig, "T1OTHER")
    await rig.change(
        "update gateway.installations set expires_at = now() + interval '125 minutes' where team_id = 'T1OTHER'"
    )
    await asyncio.sleep(2.5)
    assert (await installed(rig, "T1OTHER"))["generation"] == before["generation"]


async def test_what_slack_calls_expired_is_renewed_and_the_answer_still_comes(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T2OTHER")
    before = await installed(rig, "T2OTHER")
    rig.playground.box.installs.living["T2OTHER"].expires_at = time.monotonic() - 1
    assert await answered(rig, in_team(rig, "T2OTHER"), "expired") == "T2OTHER"
    assert (await installed(rig, "T2OTHER"))["generation"] == before["generation"] + 1


async def test_a_renewal_that_slack_fumbles_is_done_later(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
    before = await installed(rig, "T1OTHER")
    await rig.workspace.fault("oauth.v2.access", "status", count=1)
    await rig.change(
        "update gateway.installations set expires_at = now() + interval '1 minute' where team_id = 'T1OTHER'"
    )

    await eventually(lambda: called(rig, "oauth.v2.access"), what="a renewal that failed", within_s=15)
    assert (await installed(rig, "T1OTHER"))["state"] == "active"
    await rig.change("update gateway.installations set renewing_until = now() where team_id = 'T1OTHER'")
    await settled_on(rig, "T1OTHER", before["generation"] + 1)
    assert await answered(rig, in_team(rig, "T1OTHER"), "fumbled") == "T1OTHER"


async def test_a_lost_pair_costs_one_workspace_only(rig: Rig) -> None:
    """Slack renewed it and the answer never came: the refresh token is used up. Somebody has to install again."""
    async with a_browser(rig) as browser:
        await browser.install("T2OTHER")
        await browser.install("T1OTHER")
        known = rig.playground.box.installs.living["T2OTHER"]
        rig.playground.box.installs.refresh(str(known.refresh_token))
        await rig.change(
            "update gateway.installations set expires_at = now() - interval '1 minute' where team_id = 'T2OTHER'"
        )

        async def dead() -> bool:
            row = await installed(rig, "T2OTHER")
            return (row["state"], row["dead_reason"]) == ("dead", "invalid_refresh_token")

        await eventually(dead, what="the installation is marked", within_s=20)
        assert await answered(rig, in_team(rig, "T1OTHER"), "unharmed") == "T1OTHER"
        assert (await browser.install("T2OTHER"))[0] == 200
    assert await answered(rig, in_team(rig, "T2OTHER"), "reborn") == "T2OTHER"


async def test_an_organisations_token_serves_its_workspaces_and_is_renewed_for_all(rig: Rig) -> None:
    for place in ("T2OTHER", "T3OTHER", "E0ORG"):
        await uninstall(rig, place)
    async with a_browser(rig) as browser:
        status, text = await browser.install("E0ORG")
    assert (status, "in all of" in text) == (200, True), text
    assert (await installed(rig, "T3OTHER"))["org_wide"]  # known before anybody speaks there
    assert not (await installed(rig, "T0DOPPEL"))["org_wide"]  # has an installation of its own
    assert await answered(rig, in_team(rig, "T3OTHER"), "orgwide") == "T3OTHER"
    await rig.change("delete from gateway.installations where team_id = 'T2OTHER'")
    assert await answered(rig, in_team(rig, "T2OTHER"), "unlisted") == "T2OTHER"  # met by its first event
    before = await installed(rig, "E0ORG")
    await rig.change(
        "update gateway.installations set expires_at = now() + interval '1 minute' where team_id = 'E0ORG'"
    )
    await settled_on(rig, "E0ORG", before["generation"] + 1)
    for team_id in ("T2OTHER", "T3OTHER"):
        assert await answered(rig, in_team(rig, team_id), f"org{team_id}") == team_id
