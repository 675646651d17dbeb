"""Installing by OAuth: whole or not at all, once per link, in the browser where it began."""

import asyncio
import signal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.integration.gateway.rig import Rig
from tests.integration.gateway_installs.browser import Browser, a_browser
from tests.support.servers import killed_and_back
from tests.support.story import Workspace
from tests.support.waiting import eventually

REDIRECT = "http://gateway/slack/oauth_redirect"


def in_team(rig: Rig, team_id: str) -> Workspace:
    """People of a further workspace."""
    return Elsewhere(rig.workspace.http, rig.workspace.url, team_id)


class Elsewhere(Workspace):
    """The control API of another workspace."""

    def __init__(self, http: aiohttp.ClientSession, url: str, team_id: str) -> None:
        super().__init__(http, url)
        object.__setattr__(self, "team_id", team_id)

    async def ask(self, method: str, endpoint: str, /, **arguments: Any) -> dict[str, Any]:
        return await super().ask(method, f"teams/{self.team_id}/{endpoint}", **arguments)  # type: ignore[attr-defined]


async def answered(rig: Rig, workspace: Workspace, word: str) -> str:
    asked = await workspace.say("bram", "general", f"@doppel {word}?")
    question = await rig.engine.question_about(word, within_s=20)
    await rig.engine.answer(question, f"{word} indeed.")
    reply = await workspace.reply("general", asked["ts"], within_s=20)
    assert reply["text"] == f"{word} indeed."
    return question.team_id


async def installed(rig: Rig, team_id: str) -> Any:
    return await rig.row("select * from gateway.installations where team_id = $1", team_id)


async def test_two_workspaces_install_it_and_each_is_answered_with_its_own_token(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        for team_id in ("T1OTHER", "T2OTHER"):
            status, text = await browser.install(team_id)
            assert (status, "doppel is installed" in text) == (200, True), text
    rows = [await installed(rig, team_id) for team_id in ("T0DOPPEL", "T1OTHER", "T2OTHER")]
    assert all(row["state"] == "active" and row["bot_id"] == "B0DOPPEL" for row in rows)
    assert b"xox" not in b"".join(row["bot_token"] + (row["refresh_token"] or b"") for row in rows)
    for team_id in ("T1OTHER", "T2OTHER"):
        assert await answered(rig, in_team(rig, team_id), f"harbour{team_id}") == team_id
    assert await answered(rig, rig.workspace, "harbourhome") == "T0DOPPEL"


async def test_the_way_back_may_end_at_another_replica(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T1OTHER")
        assert (await browser.follow(back, replica=1))[0] == 200


async def test_a_link_is_good_once(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        asked = await browser.begin()
        back = await browser.decide(asked, "T1OTHER")
        kept = {cookie.key: cookie.value for cookie in browser.http.cookie_jar}
        answers = await asyncio.gather(*(browser.follow(back, replica=n % 2) for n in range(6)))
        assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400, 400]
        browser.http.cookie_jar.update_cookies(kept)
        again = await browser.decide(asked, "T1OTHER")
        assert (await browser.follow(again))[0] == 400


async def test_a_link_is_good_in_its_browser_only(rig: Rig) -> None:
    """Somebody is made to open a link that another began: their workspace would be tied to the other's."""
    async with a_browser(rig) as attacker, a_browser(rig) as victim:
        back = await attacker.decide(await attacker.begin(), "T1OTHER")
        assert (await victim.follow(back))[0] == 400  # no cookie
        asked = await victim.begin()
        assert (await victim.follow(back))[0] == 400  # another cookie
        assert (await victim.follow(await victim.decide(asked, "T1OTHER")))[0] == 200  # unharmed
        assert (await attacker.follow(back))[0] == 200


async def test_an_old_link_is_no_good(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T1OTHER")
        await rig.change("update gateway.oauth_states set expires_at = now() - interval '1 second'")
        assert (await browser.follow(back))[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "x"},
        {"state": "x"},
        {"code": "x", "state": "A" * 43},
        {"code": "x", "state": "../../etc"},
        {"code": "\x00\xff\n", "state": "A" * 43},
        {"code": "c" * 5000, "state": "A" * 43},
        {"error": "access_denied"},
        {"error": "<script>alert(1)</script>", "state": "A" * 43},
        [("code", "a"), ("code", "b"), ("state", "A" * 43)],
        [("code", "a"), ("state", "A" * 43), ("state", "B" * 43)],
    ],
)
async def test_what_is_forged_gets_a_plain_page_and_installs_nothing(rig: Rig, query: Any) -> None:
    before = await rig.row("select count(*) as n, max(updated_at) as at from gateway.installations")
    async with a_browser(rig) as browser:
        await browser.begin()
        status, text = await browser.follow(f"{REDIRECT}?{urlencode(query)}")
    assert (status, "<script" in text) == (400, False)
    assert await rig.row("select count(*) as n, max(updated_at) as at from gateway.installations") == before


async def test_a_no_at_slack_is_a_plain_page(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        status, text = await browser.follow(await browser.decide(await browser.begin(), ""))
        assert (status, "not allowed" in text) == (400, True)


async def test_a_code_of_another_app_installs_nothing(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        asked = await browser.begin()
        query = urlencode({"code": "a-code-of-another-app", "state": asked["state"]})
        status, text = await browser.follow(f"{REDIRECT}?{query}")
        assert (status, "Nothing was installed" in text) == (400, True)


@pytest.mark.parametrize(
    ("on", "kind", "status"),
    [
        ("oauth.v2.access", "status", 503),
        ("oauth.v2.access", "html", 503),
        ("oauth.v2.access", "reset_before", 503),
        ("oauth.v2.access", "ratelimited", 503),
        ("auth.test", "error", 503),
    ],
)
async def test_while_slack_is_in_trouble_nothing_is_half_installed(
    rig: Rig, on: str, kind: str, status: int
) -> None:
    await uninstall(rig, "T3OTHER")
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T3OTHER")
        await rig.workspace.fault(on, kind, count=2)
        assert (await browser.follow(back))[0] == status
        await rig.workspace.ask("DELETE", "faults")
        assert await installed(rig, "T3OTHER") is None
        assert (await browser.install("T3OTHER"))[0] == 200
    await uninstall(rig, "T3OTHER")


async def test_a_database_that_is_killed_leaves_all_or_nothing(rig: Rig) -> None:
    before = await installed(rig, "T1OTHER")
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T1OTHER")
        async with asyncio.TaskGroup() as both:
            both.create_task(killed_and_back(rig.servers.running.supervisor, "postgres", within_s=30))
            following = both.create_task(browser.follow(back))
        status, text = following.result()
    after = await installed(rig, "T1OTHER")
    assert (status == 200) == (after["installed_at"] != before["installed_at"])
    assert status == 200 or (status == 503 and "start again" in text)


async def test_only_looking_at_a_link_does_not_use_it_up(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T1OTHER")
        url = f"{rig.replicas[0].url}/slack/oauth_redirect?{back.partition('?')[2]}"
        async with browser.http.head(url) as answer:
            assert answer.status == 405
        assert (await browser.follow(back))[0] == 200


async def test_a_replica_killed_on_the_way_leaves_all_or_nothing(rig: Rig) -> None:
    await uninstall(rig, "T3OTHER")
    async with a_browser(rig) as browser:
        back = await browser.decide(await browser.begin(), "T3OTHER")
        await rig.workspace.fault("auth.test", "slow", count=1, delay_s=0.8)
        following = asyncio.ensure_future(browser.follow(back))
        await eventually(lambda: called(rig, "auth.test"), what="the token is looked at")
        await rig.replicas[0].stop(signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await following
        await rig.replicas[0].start(browser.http)
        assert await installed(rig, "T3OTHER") is None
        assert (await browser.install("T3OTHER"))[0] == 200
    await uninstall(rig, "T3OTHER")


async def called(rig: Rig, method: str) -> bool:
    """Have the faults of that method been taken?"""
    faults = (await rig.workspace.ask("GET", "faults"))["faults"]
    return all(fault["left"] == 0 for fault in faults if fault["on"] == method)


async def uninstall(rig: Rig, place: str) -> None:
    """Make sure that it is not installed, here and there."""
    rig.playground.box.installs.remove(place)
    await rig.change("delete from gateway.installations where team_id = $1", place)


__all__ = ["Browser", "answered", "called", "in_team", "installed", "uninstall"]
