"""An installation's life: a hello, tokens that die, the app that goes, in any order; the others notice nothing."""

from typing import Any

from tests.integration.gateway.rig import Rig
from tests.integration.gateway_installs.browser import a_browser
from tests.integration.gateway_installs.test_installs import answered, in_team, installed, uninstall
from tests.support.waiting import eventually


async def is_dead(rig: Rig, place: str) -> bool:
    return (await installed(rig, place))["state"] == "dead"


async def test_the_app_goes_and_what_waits_for_it_ends(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        for place in ("T1OTHER", "T2OTHER"):
            await browser.install(place)
    there = in_team(rig, "T1OTHER")
    asked = await there.say("bram", "general", "@doppel farewell?")
    question = await rig.engine.question_about("farewell")
    await there.command("bram", "general", "train @ada")
    await there.consent_question("ada")
    told = await rig.workspace.ask("POST", "uninstall", place="T1OTHER")
    await eventually(lambda: is_dead(rig, "T1OTHER"), what="the installation ended", within_s=15)

    async def ended() -> Any:
        return await rig.row(
            "select outcome from gateway.trainings where team_id = 'T1OTHER' and state = 'done'"
        )

    assert "not installed" in (await eventually(ended, what="the training ended"))["outcome"]
    row = await rig.row("select state, body from gateway.outbox where request_id = $1", question.request_id)
    assert (row["state"], "not_installed" in row["body"]) == ("failed", True)
    await rig.engine.answer(question, "Too late.")
    for event_id in told["event_ids"]:  # told again, and again
        await rig.workspace.ask("POST", "redeliver", event_id=event_id, times=2)
    await rig.settled()
    assert await there.bot_messages("general", asked["ts"]) == []
    assert await answered(rig, in_team(rig, "T2OTHER"), "remaining") == "T2OTHER"


async def test_old_news_does_not_end_a_new_installation(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
        told = await rig.workspace.ask("POST", "uninstall", place="T1OTHER", events=["app_uninstalled"])
        await eventually(lambda: is_dead(rig, "T1OTHER"), what="the installation ended", within_s=15)
        await browser.install("T1OTHER")
    await rig.change(
        "update gateway.installations set installed_at = now() + interval '10 seconds' where team_id = 'T1OTHER'"
    )
    await rig.workspace.ask("POST", "redeliver", event_id=told["event_ids"][0], times=2)
    await rig.workspace.ask("POST", "raw", path="/slack/events", json=late_news())
    assert await answered(rig, in_team(rig, "T1OTHER"), "phoenix") == "T1OTHER"
    assert not await is_dead(rig, "T1OTHER")


def late_news() -> dict[str, Any]:
    return {
        "type": "event_callback",
        "team_id": "T1OTHER",
        "api_app_id": "A0DOPPEL",
        "event_id": "EvLATENEWS",
        "event_time": 1_700_000_000,
        "event": {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0DOPPEL"]}},
    }


async def test_a_persons_own_token_is_not_the_bots(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
    event = {"type": "tokens_revoked", "tokens": {"oauth": ["U0ADA"], "bot": []}}
    for mine in (event, {"type": "tokens_revoked"}):
        body = late_news() | {"event": mine, "event_id": f"Ev{len(str(mine))}", "event_time": 4_000_000_000}
        answer = await rig.workspace.ask("POST", "raw", path="/slack/events", json=body)
        assert answer["status"] == 200
    assert await answered(rig, in_team(rig, "T1OTHER"), "untouched") == "T1OTHER"


async def test_an_organisation_that_leaves_takes_its_workspaces_along(rig: Rig) -> None:
    for place in ("T1OTHER", "T2OTHER", "T3OTHER", "E0ORG"):
        await uninstall(rig, place)
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")  # by itself
        await browser.install("E0ORG")
        assert await answered(rig, in_team(rig, "T3OTHER"), "together") == "T3OTHER"
        body = late_news() | {
            "event_id": "EvSHUTOUT",
            "team_id": "T3OTHER",
            "enterprise_id": "E0ORG",
            "event_time": 4_000_000_000,
            "event": {"type": "team_access_revoked", "team_ids": ["T3OTHER"]},
        }
        await rig.workspace.ask("POST", "raw", path="/slack/events", json=body)
        await eventually(lambda: is_dead(rig, "T3OTHER"), what="one workspace is shut out", within_s=15)
        assert not await is_dead(rig, "E0ORG")
        granted = {"type": "team_access_granted", "team_ids": ["T3OTHER"]}
        body |= {"event_id": "EvLETIN", "event": granted}
        await rig.workspace.ask("POST", "raw", path="/slack/events", json=body)

        async def back() -> bool:
            return not await is_dead(rig, "T3OTHER")

        await eventually(back, what="and let in again", within_s=15)
        gone = late_news() | {
            "event_id": "EvORGGONE",
            "team_id": "T3OTHER",
            "enterprise_id": "E0ORG",
            "event_time": 4_000_000_000,
            "event": {"type": "app_uninstalled"},
            "authorizations": [{"enterprise_id": "E0ORG", "team_id": None, "is_enterprise_install": True}],
        }
        await rig.workspace.ask("POST", "raw", path="/slack/events", json=gone)
        for place in ("E0ORG", "T2OTHER", "T3OTHER"):
            await eventually(lambda place=place: is_dead(rig, place), what=f"{place} ended", within_s=15)
        assert await answered(rig, in_team(rig, "T1OTHER"), "alone") == "T1OTHER"


async def test_an_invited_bot_says_hello_once_and_one_that_lets_itself_in_is_quiet(rig: Rig) -> None:
    await rig.workspace.ask(
        "POST", "subscribe", events=["app_mention", "message.im", "member_joined_channel"]
    )
    invited = {"user": "dev", "channel": "support", "command": "/invite", "text": "@doppel"}
    await rig.workspace.ask("POST", "commands", **invited)

    async def ours(channel: str) -> list[dict[str, Any]]:
        return [m for m in await rig.workspace.bot_messages(channel) if m["bot_id"] == "B0DOPPEL"]

    async def hello() -> list[dict[str, Any]]:
        return await ours("support")

    assert "/doppel help" in (await eventually(hello, what="a hello", within_s=15))[0]["text"]
    channel = rig.playground.workspace.channels["C0SUPPORT"]
    channel.members.remove("U0DOPPEL")
    await rig.workspace.ask("POST", "commands", **invited)
    rig.playground.workspace.join(rig.playground.workspace.channels["C0DESIGN"], "U0DOPPEL")
    await rig.workspace.ask("POST", "drain", timeout_s=10)
    assert await answered(rig, rig.workspace, "afterwards") == "T0DOPPEL"
    await rig.settled()
    assert len(await hello()) == 1
    assert await ours("design") == []


async def test_an_app_rate_limit_is_taken_note_of(rig: Rig) -> None:
    body = {"type": "app_rate_limited", "team_id": "T0DOPPEL", "minute_rate_limited": 1700000000}
    answer = await rig.workspace.ask(
        "POST", "raw", path="/slack/events", json=body | {"api_app_id": "A0DOPPEL"}
    )
    assert answer["status"] == 200
