"""Two personas debate in a thread: so many answers, each once, and *stop* is heard at once."""

import signal
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from proto.generate import Cancel, GenerateRequest
from tests.integration.gateway.answers import elements, forge, press, replies, told
from tests.integration.gateway.rig import DEBATE_TURNS, Rig
from tests.integration.gateway.test_commands import ADA, GRACE, TABLES, command, persona
from tests.integration.gateway.test_training import bot_said
from tests.integration.gateway.trainings import TEAM
from tests.support.story import text_of
from tests.support.waiting import eventually

STOP = "debate_stop"


@pytest.fixture(autouse=True)
async def tidy(rig: Rig) -> AsyncGenerator[None]:
    """No debate goes on, and nobody's persona stays."""

    async def clean() -> None:
        await rig.change("update gateway.debates set state = 'ended' where team_id = $1", TEAM)
        await rig.change(
            "update gateway.outbox set state = 'failed' where state = 'pending' and starts_with(trigger, 'debate:')"
        )
        await rig.settled()
        for table in (*TABLES, "gateway.debates"):
            await rig.change(f"delete from {table} where team_id = $1", TEAM)

    await clean()
    yield
    await clean()


async def begin(rig: Rig, channel: str, topic: str) -> dict[str, Any]:
    """Ada and Grace debate; the message that opens it."""
    await persona(rig, ADA, "Ada")
    await persona(rig, GRACE, "Grace")
    await rig.workspace.command("dev", channel, f"debate @ada @grace {topic}")
    return await bot_said(rig, channel, topic)


async def turn(rig: Rig, topic: str, text: str) -> GenerateRequest:
    """Play the engine for one turn; what it was asked."""
    while True:
        asked = await rig.engine.next_question()
        if topic in asked.turns[0].content:
            await rig.engine.answer(asked, text)
            return asked


async def over(rig: Rig, channel: str, words: str) -> dict[str, Any]:
    """The message that opened it, once it says that it is over."""
    message = await bot_said(rig, channel, words)
    assert STOP not in elements(message)
    await rig.settled()
    return message


async def test_two_personas_answer_one_another_and_come_to_an_end(rig: Rig) -> None:
    root = await begin(rig, "random", "cormorants or terns?")
    assert STOP in elements(root)
    assert "Ada (AI) and Grace (AI)" in root["text"]
    said = [f"point {number}" for number in range(DEBATE_TURNS)]
    asked = [await turn(rig, "cormorants", words) for words in said]
    assert [each.user_id for each in asked] == [ADA, GRACE] * (DEBATE_TURNS // 2)
    assert [(each.role, each.content) for each in asked[0].turns] == [("user", "Dev: cormorants or terns?")]
    assert [(each.role, each.content) for each in asked[2].turns] == [
        ("user", "Dev: cormorants or terns?"), ("assistant", "point 0"), ("user", "Grace: point 1"),
    ]  # fmt: skip
    assert asked[2].adapter
    await over(rig, "random", f"over, after {DEBATE_TURNS} answers")
    shown = (await rig.replies("random", root["ts"]))[1:]
    assert [each["text"] for each in shown] == said
    assert [each["username"] for each in shown] == ["Ada (AI)", "Grace (AI)"] * (DEBATE_TURNS // 2)
    assert all("AI-generated in" in text_of(each) for each in shown)
    assert "answer_again" not in elements(shown[-1])
    assert await rig.engine.is_idle()


@pytest.mark.parametrize("way", ["button", "mention", "hand"])
async def test_anybody_stops_it_at_once(rig: Rig, way: str) -> None:
    cancels: list[str] = []

    async def heard(message: Any) -> None:
        assert Cancel.model_validate_json(message.data).reason == "debate_over"
        cancels.append(message.subject)

    client = rig.engine.bus.client
    subscription = await client.subscribe("generate.cancel.*", cb=heard)
    await client.flush()
    root = await begin(rig, "random", f"gulls by {way}?")
    await turn(rig, "gulls", "they steal chips")
    under_way = await rig.engine.next_question()
    first = (await rig.replies("random", root["ts"]))[1]
    match way:
        case "button":
            await press(rig, "chiyo", root, "random", STOP)
        case "mention":
            said = await rig.workspace.say("chiyo", "random", "@doppel please STOP now", thread_ts=root["ts"])
            for replica in rig.replicas:
                await rig.workspace.ask(
                    "POST", "redeliver", event_id=said["event_ids"][0], times=3, gateway=replica.url
                )
        case _:
            await rig.workspace.ask(
                "POST", "reactions", user="chiyo", channel="random", ts=first["ts"], name="hand::skin-tone-3"
            )
    await over(rig, "random", "Stopped by <@U0CHIYO>")

    async def told_engine() -> bool:
        return f"generate.cancel.{under_way.request_id}" in cancels

    await eventually(told_engine, what="the engine is told to stop")
    await rig.engine.answer(under_way, "they are clever")
    assert await rig.engine.is_idle(2)
    shown = await rig.replies("random", root["ts"])
    wanted = ["they steal chips"] + (["Stopped."] if way == "mention" else [])
    assert [each["text"] for each in shown[1:]] == wanted
    await subscription.unsubscribe()


async def test_what_does_not_mean_stop_does_not_stop_it(rig: Rig) -> None:
    root = await begin(rig, "random", "eiders or scoters?")
    await rig.workspace.ask("POST", "reactions", user="chiyo", channel="random", ts=root["ts"], name="wave")
    other = await rig.workspace.say("chiyo", "random", "somewhere else")
    await rig.workspace.ask("POST", "reactions", user="chiyo", channel="random", ts=other["ts"], name="hand")
    assert await forge(rig, "U0CHIYO", "C0ENG", root["ts"], STOP, "x") == 200
    for number in range(DEBATE_TURNS):
        await turn(rig, "eiders", f"duck {number}")
    await over(rig, "random", "over, after")


async def test_a_no_midway_ends_it(rig: Rig) -> None:
    root = await begin(rig, "random", "wigeons or teals?")
    await turn(rig, "wigeons", "they whistle")
    under_way = await rig.engine.next_question()
    assert under_way.user_id == GRACE
    await command(rig, "ada", "general", "consent no", "You said no")
    await rig.engine.answer(under_way, "smaller")  # hers is said; Ada is not asked any more
    await over(rig, "random", "one of the two does not answer")
    assert [each["text"] for each in (await rig.replies("random", root["ts"]))[1:]] == [
        "they whistle",
        "smaller",
    ]
    assert await rig.engine.is_idle()


async def test_not_me_ends_it(rig: Rig) -> None:
    root = await begin(rig, "random", "smews or pintails?")
    await turn(rig, "smews", "white and black")
    await rig.engine.next_question()
    first = (await replies(rig, "random", root["ts"], 2))[1]
    await press(rig, "ada", first, "random", "not_me")
    await over(rig, "random", "one of the two does not answer")
    assert len(await rig.replies("random", root["ts"])) == 1
    assert await rig.engine.is_idle()


async def test_killed_replicas_leave_each_answer_once(rig: Rig, http: aiohttp.ClientSession) -> None:
    root = await begin(rig, "random", "rails or crakes?")
    for number in range(DEBATE_TURNS):
        asked = await turn(rig, "rails", f"call {number}")
        assert asked.user_id == (ADA, GRACE)[number % 2]
        replica = rig.replicas[number % 2]
        await replica.stop(signal.SIGKILL)
        await replica.start(http)
    await over(rig, "random", "over, after")
    said = [each["text"] for each in (await rig.replies("random", root["ts"]))[1:]]
    assert said == [f"call {number}" for number in range(DEBATE_TURNS)]


async def test_a_workspaces_limit_counts_each_answer(rig: Rig) -> None:
    await rig.change(
        "update gateway.outbox set asked_at = asked_at - interval '2 minutes' where team_id = $1", TEAM
    )
    await command(rig, "bram", "general", "limits replies 1", "at most 1;")
    await begin(rig, "random", "coots or moorhens?")
    await turn(rig, "coots", "white bill")
    assert await rig.engine.is_idle(3)
    await command(rig, "bram", "general", "limits replies default", "at most 600;")
    assert (await turn(rig, "coots", "red bill")).user_id == GRACE
    await rig.change("update gateway.debates set turns = 2 where team_id = $1", TEAM)
    await over(rig, "random", "over, after")


async def test_what_can_not_be_debated_is_said(rig: Rig) -> None:
    await begin(rig, "random", "swifts or swallows?")
    await command(rig, "dev", "random", "debate @ada @grace again?", "a debate in this channel already")
    await command(rig, "dev", "eng", "debate @ada @ada alone?", "Say which two")
    await command(rig, "ada", "eng", "debate @ada me alone?", "two different people")
    await command(rig, "dev", "eng", "debate @ada @chiyo hm?", "has not agreed")
    await command(rig, "dev", "eng", "debate @ada", "Say which two")
    await rig.workspace.command("gil", "support", "debate @ada @grace hm?")
    await told(rig, "gil", "support", "answer members of this workspace only")
    await rig.workspace.command("dev", "design", "debate @ada @grace where I am not?")
    await bot_said(rig, "@dev", "Invite me there")
