"""Whatever call of Slack's goes wrong once, what people see is whole, and there once."""

import itertools
from typing import Any
from uuid import UUID

import pytest

from proto import subjects
from proto.scrape import ScrapeProgress
from tests.integration.gateway.rig import SLACK_S, Rig, request_of
from tests.integration.gateway.test_training import bot_said
from tests.support.story import buttons_of, text_of
from tests.support.waiting import eventually

TEAM = "T0DOPPEL"
PATIENT_S = 60.0
KINDS: dict[str, dict[str, Any]] = {
    "status": {"status": 502},
    "error": {"error": "internal_error"},
    "html": {},
    "reset_before": {},
    "slow": {"delay_s": SLACK_S * 1.5},
    "ratelimited": {"retry_after": 1},
}
PERSON = dict(zip(KINDS, ("finn", "grace", "elena", "chiyo", "dev", "ada"), strict=True))
CALLED = (
    "users.list",
    "users.info",
    "conversations.open",
    "conversations.replies",
    "chat.postMessage",
    "chat.update",
)
LOOKED = "conversations.history"  # where it is not known whether a message is out


async def stumble(rig: Rig, kind: str, *methods: str) -> None:
    await rig.workspace.ask("DELETE", "faults")
    for method in methods:
        await rig.workspace.fault(method, kind, count=1, **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_training_and_a_thread_are_told_though_every_method_fails_once(rig: Rig, kind: str) -> None:
    name = PERSON[kind]
    user_id = f"U0{name.upper()}"
    await stumble(rig, kind, *CALLED, LOOKED)
    await rig.workspace.command("bram", "general", f"train {name}")  # a bare name: it is looked up
    question = await rig.workspace.consent_question(name, within_s=PATIENT_S)
    await rig.settled(within_s=PATIENT_S)
    asked = [each for each in await rig.workspace.bot_messages(f"@{name}") if buttons_of(each)]
    assert [each["ts"] for each in asked] == [question["ts"]]

    await rig.workspace.answer_consent(name, allow=True)
    scrape = await rig.fact("scrape.request", user_id=user_id)
    told = ScrapeProgress(
        request_id=UUID(scrape["request_id"]), team_id=TEAM, user_id=user_id, stage="reading", step=120,
        channels_done=1, channel_count=4,
    )  # fmt: skip
    await bot_said(rig, "general", f"Learning how <@{user_id}> writes")
    steps = itertools.count()

    async def shown() -> bool:  # what Slack did not take is not repeated: the next step tells more
        await rig.tell(subjects.SCRAPE_PROGRESS, told, f"{told.request_id}/{next(steps)}")
        said = [text_of(each) for each in await rig.workspace.bot_messages("general")]
        return any(f"<@{user_id}> writes" in each and "120 messages read" in each for each in said)

    root = await rig.workspace.say("grace", "random", f"the crane of {name} is broken")
    await rig.workspace.say(name, "random", f"@doppel what broke, {kind}?", thread_ts=root["ts"])
    put = await rig.engine.question_about(f"what broke, {kind}", within_s=PATIENT_S)
    assert f"crane of {name}" in put.turns[-1].content
    await rig.engine.answer(put, "The crane.")
    await rig.workspace.reply("random", root["ts"], within_s=PATIENT_S)

    async def whole() -> bool:
        left = {each["on"] for each in (await rig.workspace.ask("GET", "faults"))["faults"] if each["left"]}
        return not left or (kind == "ratelimited" and left == {LOOKED})

    await eventually(shown, what="how far the reading is", within_s=PATIENT_S)
    await eventually(whole, what="every method has failed once", within_s=PATIENT_S)
    await rig.settled(within_s=PATIENT_S)
    assert [each["text"] for each in await rig.replies("random", root["ts"])] == ["The crane."]
    progress = [
        m for m in await rig.workspace.bot_messages("general") if f"<@{user_id}> writes" in text_of(m)
    ]
    assert len(progress) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_who_asks_for_the_form_gets_it_or_a_button(rig: Rig, kind: str) -> None:
    await stumble(rig, kind, "views.open")
    await rig.workspace.command("bram", "eng", "menu")

    async def offered() -> bool:
        found = await rig.workspace.ask("GET", "messages", channel="eng", viewer="bram")
        views = await rig.workspace.ask("GET", "views", user="bram")
        return bool(views["views"]) or any("Press the button" in each["text"] for each in found["ephemerals"])

    await eventually(offered, what="a form or a button", within_s=PATIENT_S)
    for view in (await rig.workspace.ask("GET", "views", user="bram"))["views"]:
        await rig.workspace.ask("DELETE", "views", user="bram", view_id=view["id"])
    rig.playground.workspace.ephemerals.clear()


async def failed(rig: Rig, request_id: UUID | None) -> bool:
    assert request_id
    return (await request_of(rig, request_id))["state"] == "failed"


@pytest.mark.parametrize("what", ["deleted", "kicked", "archived"])
async def test_a_channel_that_goes_while_the_engine_thinks_ends_that_answer_only(rig: Rig, what: str) -> None:
    workspace = rig.playground.workspace
    channel = workspace.channels["C0ENG"]
    members = list(channel.members)
    await rig.workspace.say("bram", "eng", f"@doppel the {what} channel?")
    question = await rig.engine.question_about(f"the {what} channel")
    if what == "deleted":
        del workspace.channels["C0ENG"]
    elif what == "kicked":
        channel.members.remove(workspace.app.user_id)
    else:
        channel.is_archived = True
    try:
        await rig.engine.answer(question, "Too late.")
        await eventually(lambda: failed(rig, question.request_id), what="it is given up", within_s=PATIENT_S)
        asked = await rig.workspace.say("bram", "general", f"@doppel still here, {what}?")
        await rig.engine.answer(await rig.engine.question_about(f"still here, {what}"), "Yes.")
        await rig.workspace.reply("general", asked["ts"], within_s=PATIENT_S)
    finally:
        workspace.channels["C0ENG"] = channel
        channel.members[:], channel.is_archived = members, False


@pytest.mark.parametrize("error", ["msg_too_long", "invalid_blocks", "metadata_too_large"])
async def test_an_answer_that_slack_does_not_take_is_told_in_a_sentence(rig: Rig, error: str) -> None:
    asked = await rig.workspace.say("bram", "general", f"@doppel too much, {error}?")
    question = await rig.engine.question_about(f"too much, {error}")
    await rig.workspace.fault("chat.postMessage", "error", count=1, error=error)
    await rig.engine.answer(question, "words " * 20)
    reply = await rig.workspace.reply("general", asked["ts"], within_s=PATIENT_S)
    assert f"would not take my answer ({error})" in reply["text"]
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1


async def test_a_thread_of_40000_characters_is_bounded_and_so_is_the_answer(rig: Rig) -> None:
    words = "kelp and driftwood " * 2000
    root = await rig.workspace.say("dev", "general", words[:39_000])
    for number in range(30):
        await rig.workspace.say("dev", "general", f"reply {number} " + words[:1500], thread_ts=root["ts"])
    mention = "@doppel sum that up: " + words[:38_000]
    await rig.workspace.say("bram", "general", mention, thread_ts=root["ts"])
    question = await rig.engine.question_about("sum that up", within_s=PATIENT_S)
    assert sum(len(turn.content) for turn in question.turns) < 45_000
    said = "\n".join(turn.content for turn in question.turns)
    assert "reply 29 " in said
    assert "reply 0 " not in said
    await rig.engine.answer(question, "word " * 9000)
    await rig.workspace.reply("general", root["ts"], within_s=PATIENT_S)
    await rig.settled(within_s=PATIENT_S)
    replies = await rig.replies("general", root["ts"])
    assert all(0 < len(each["text"]) <= 4000 for each in replies)
