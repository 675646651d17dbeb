"""The story: a mention, a consent, a training, an answer in somebody's voice. In the order in which it happens."""

from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.support.bus import BusReader
from tests.support.stack import Stack
from tests.support.story import Workspace, text_of
from tests.support.waiting import eventually

pytestmark = [pytest.mark.story, pytest.mark.engine, pytest.mark.timeout(600)]

CANARY = "zyxwvut-canary-marmalade"


async def test_a_mention_is_answered_by_the_base_model_under_the_bot_s_own_name(workspace: Workspace) -> None:
    asked = await workspace.say("bram", "general", f"@doppel what is {CANARY}?")
    answer = await workspace.reply("general", asked["ts"])
    assert answer["text"].strip()
    assert not answer.get("username")


async def test_no_means_no(workspace: Workspace, bus: BusReader) -> None:
    since = await bus.last_sequence("FACTS")
    await workspace.command("ada", "random", "train @bram")
    await workspace.answer_consent("bram", allow=False)
    await workspace.ask("POST", "drain", timeout_s=10)

    async def told() -> bool:
        said = " ".join(text_of(m) for m in await workspace.bot_messages("@bram"))
        return "no" in said.lower()

    await eventually(told, what="the question shows its outcome")
    assert await bus.facts("train.result", since, user_id="U0BRAM") == []
    assert await bus.facts("scrape.result", since, user_id="U0BRAM") == []


async def test_a_hand_published_training_without_consent_is_refused(bus: BusReader) -> None:
    await bus.publish("train.request", {"team_id": "T0DOPPEL", "user_id": "U0CHIYO"})
    result = await bus.fact("train.result", user_id="U0CHIYO")
    assert result["error"]["code"] == "no_consent"


async def test_a_yes_trains_the_persona_and_tells_how_far_it_is(workspace: Workspace, bus: BusReader) -> None:
    await workspace.command("bram", "general", "train @ada")
    question = await workspace.consent_question("ada")
    assert "public channels" in text_of(question).lower()
    await workspace.answer_consent("ada", allow=True)
    result = await bus.fact("train.result", within_s=400, user_id="U0ADA")
    assert result["state"] == "published", result
    assert result["test_loss"] < result["base_test_loss"]
    assert await bus.facts("train.progress", user_id="U0ADA", stage="training")

    async def told() -> bool:
        said = [text_of(m) for m in await workspace.bot_messages("general")]
        return any("U0ADA" in text and ("ready" in text.lower() or "loss" in text.lower()) for text in said)

    await eventually(told, what="the progress message says that it is done", within_s=60)


async def test_the_voice_report_lies_in_the_thread_and_comes_by_dm(
    workspace: Workspace, http: aiohttp.ClientSession
) -> None:
    said = await workspace.bot_messages("general")
    root = next(m for m in said if "U0ADA" in text_of(m) and "is ready" in text_of(m))
    assert "The report is in this thread." in text_of(root)
    await shown_report(workspace, http, "general", root["ts"])
    await workspace.command("ada", "random", "report me")
    await shown_report(workspace, http, "@ada")


async def shown_report(
    workspace: Workspace, http: aiohttp.ClientSession, channel: str, thread_ts: str | None = None
) -> None:
    """Numbers, perhaps answers, and the plot that the trainer drew."""

    async def picture() -> dict[str, Any] | None:
        return next((m for m in await workspace.bot_messages(channel, thread_ts) if m.get("files")), None)

    message = await eventually(picture, what=f"a picture in {channel}", within_s=60)
    async with http.get(message["files"][0]["url_private"]) as answer:
        assert (await answer.read()).startswith(b"\x89PNG")
    told = " ".join(text_of(m) for m in await workspace.bot_messages(channel, thread_ts))
    assert "checks are good" in told
    assert "than the plain model" in told


async def active(stack: Stack, user_id: str) -> Any:
    connection = await asyncpg.connect(stack.endpoints["postgres_dsn"])
    try:
        return await connection.fetchrow("select * from gateway.active_adapters where user_id = $1", user_id)
    finally:
        await connection.close()


async def test_the_persona_answers_in_the_thread_marked_as_ai(
    stack: Stack, workspace: Workspace, http: aiohttp.ClientSession
) -> None:
    assert await eventually(lambda: active(stack, "U0ADA"), what="an active adapter")
    asked = await workspace.say("chiyo", "general", "@doppel are the tests green again?")
    answer = await workspace.reply("general", asked["ts"])
    assert "Ada" in answer["username"]
    assert "AI" in answer["username"]
    assert "AI-generated" in text_of(answer)
    assert answer["thread_ts"] == asked["ts"]
    icons = answer["icons"]
    async with http.get(icons.get("image_url") or icons["image_48"]) as picture:
        assert picture.status == 200
        assert (await picture.read()).startswith(b"\x89PNG")


async def test_a_mention_inside_a_thread_is_answered_there(workspace: Workspace) -> None:
    root = await workspace.say("dev", "random", "who has seen the release notes?")
    asked = await workspace.say("bram", "random", "@doppel have you?", thread_ts=root["ts"])
    answer = await workspace.reply("random", root["ts"])
    assert answer["thread_ts"] == root["ts"]
    assert answer["ts"] > asked["ts"]


async def test_the_same_event_five_times_at_two_replicas_is_one_reply(
    stack: Stack, workspace: Workspace
) -> None:
    asked = await workspace.say("dev", "general", "@doppel how often will you say this?")
    event_id = asked["event_ids"][0]
    gateways = stack.endpoints["gateway_urls"]
    assert len(gateways) == 2
    for gateway in gateways:
        await workspace.ask("POST", "redeliver", event_id=event_id, times=3, gateway=gateway)
    await workspace.reply("general", asked["ts"])
    later = await workspace.say("dev", "general", "@doppel and this?")
    await workspace.reply("general", later["ts"])
    await workspace.answered_once("general", asked["ts"])


@pytest.mark.parametrize("kind", ["reset_after", "status_after"])
async def test_a_lost_answer_of_slack_makes_no_second_reply(
    stack: Stack, workspace: Workspace, kind: str
) -> None:
    await workspace.fault("chat.postMessage", kind, count=1)
    asked = await workspace.say("elena", "eng", f"@doppel once, please ({kind})")
    await workspace.reply("eng", asked["ts"])
    later = await workspace.say("elena", "eng", "@doppel next?")
    await workspace.reply("eng", later["ts"])

    async def settled() -> bool:
        connection = await asyncpg.connect(stack.endpoints["postgres_dsn"])
        try:
            return not await connection.fetchval(
                "select count(*) from gateway.outbox where state = 'sending'"
            )
        finally:
            await connection.close()

    await eventually(settled, what="the row found in `sending` is resolved", within_s=60)
    await workspace.answered_once("eng", asked["ts"])


async def test_private_channels_are_never_read(stack: Stack, workspace: Workspace) -> None:
    calls = await history(workspace, "conversations.history")
    assert calls
    assert not [call for call in calls if "G0BOARD" in str(call)]


async def history(workspace: Workspace, method: str) -> list[str]:
    async with workspace.http.get(f"{workspace.url}/playground/history", params={"name": method}) as response:
        return (await response.text()).splitlines()


async def test_slack_asking_to_wait_is_obeyed(workspace: Workspace) -> None:
    await workspace.fault("chat.postMessage", "ratelimited", count=2, retry_after=1)
    asked = await workspace.say("finn", "support", "@doppel slowly now")
    await workspace.reply("support", asked["ts"])
    await workspace.answered_once("support", asked["ts"])
