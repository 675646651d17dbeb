"""The outbox under pressure: room at the engine, deadlines, sleepers, dead tokens."""

import signal
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from proto.generate import GenerateRequest
from tests.integration.gateway.rig import CLAIM_S, Rig, request_of
from tests.integration.gateway.test_training import said_to
from tests.support.waiting import eventually

LIMIT = 8


async def state_of(rig: Rig, request_id: UUID | None) -> str:
    assert request_id
    return (await request_of(rig, request_id))["state"]


async def test_few_questions_of_a_workspace_wait_at_the_engine_at_once(rig: Rig) -> None:
    await rig.settled()
    for number in range(LIMIT + 2):
        await rig.workspace.say("bram", "general", f"@doppel shoal {number}?")
    asked: list[GenerateRequest] = [await rig.engine.question_about("shoal") for _ in range(LIMIT)]
    assert await rig.engine.is_idle(within_s=2)
    await rig.engine.answer(asked[0], "Deep.")
    asked.append(await rig.engine.question_about("shoal"))
    assert await rig.engine.is_idle()
    for question in asked[1:]:
        await rig.engine.answer(question, "Deep.")
    await rig.engine.answer(await rig.engine.question_about("shoal"), "Deep.")
    await rig.settled()


async def test_what_nobody_answers_in_time_is_answered_with_a_sentence(rig: Rig) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel driftwood?")
    question = await rig.engine.question_about("driftwood")
    await rig.change(
        "update gateway.outbox set deadline_at = now() where request_id = $1", question.request_id
    )
    reply = await rig.workspace.reply("general", asked["ts"], within_s=15)
    assert "took too long" in reply["text"]
    await rig.engine.answer(question, "Too late.")
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1


async def test_a_question_whose_publisher_died_is_asked_again(rig: Rig) -> None:
    """Marked as asked, never published: as if the process had died in between."""
    await rig.workspace.say("bram", "general", "@doppel flotsam?")
    question = await rig.engine.question_about("flotsam")
    stored = question.model_copy(update={"adapter": None}).model_dump(mode="json", exclude_none=True)
    await rig.change(
        """update gateway.outbox set question = $2, asked_at = now() - interval '1 minute'
           where request_id = $1""",
        question.request_id,
        stored,
    )

    async def published() -> bool:
        row = await rig.row("select question from gateway.outbox where request_id = $1", question.request_id)
        return row["question"] is None

    await eventually(published, what="it is handed to the engine's stream again")
    await rig.engine.answer(question, "Jetsam.")
    await rig.settled()


async def test_a_sender_that_sleeps_past_its_claim_leaves_one_reply(rig: Rig) -> None:
    asked = await rig.workspace.say("elena", "random", "@doppel limpets?")
    question = await rig.engine.question_about("limpets")
    await rig.workspace.fault("chat.postMessage", "slow", count=1, delay_s=0.8)
    await rig.engine.answer(question, "They stick.")
    await eventually(
        lambda: _is(rig, question.request_id, "sending"), what="one of the two is sending", within_s=10
    )
    for replica in rig.replicas:  # both, since either may hold it
        assert replica.process
        replica.process.send_signal(signal.SIGSTOP)
    try:
        await _past_the_claim(rig, question.request_id)
    finally:
        for replica in rig.replicas:
            assert replica.process
            replica.process.send_signal(signal.SIGCONT)
    await rig.workspace.reply("random", asked["ts"], within_s=30)
    await rig.settled()
    assert [each["text"] for each in await rig.replies("random", asked["ts"])] == ["They stick."]


async def _is(rig: Rig, request_id: UUID | None, state: str) -> bool:
    return await state_of(rig, request_id) == state


async def _past_the_claim(rig: Rig, request_id: UUID | None) -> None:
    async def past() -> bool:
        row = await rig.row(
            "select claimed_until < now() as past from gateway.outbox where request_id = $1", request_id
        )
        return bool(row["past"])

    await eventually(past, what="the claim has run out", within_s=CLAIM_S + 10)


@pytest.mark.parametrize("kind", ["reset_before", "slow"])
async def test_a_sentence_for_one_person_arrives_though_slack_stumbles(rig: Rig, kind: str) -> None:
    more: dict[str, Any] = {"delay_s": 0.2} if kind == "slow" else {}
    await rig.workspace.fault("response_url", kind, count=1, **more)
    await rig.workspace.command("dev", "eng", f"train @nobody-{kind}")
    await said_to(rig, "dev", f"nobody-{kind}", "eng")
    await rig.settled()


async def test_a_dead_token_stops_that_workspace_and_nothing_else(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    await rig.workspace.say("bram", "general", "@doppel wrack?")
    question = await rig.engine.question_about("wrack")
    await rig.workspace.ask("POST", "tokens/revoke", token="bot")
    try:
        await rig.engine.answer(question, "Brown.")
        await eventually(
            lambda: _is(rig, question.request_id, "failed"), what="the reply is given up", within_s=15
        )
        row = await rig.row("select state from gateway.installations")
        assert row["state"] == "dead"
        for replica in rig.replicas:
            async with http.get(f"http://127.0.0.1:{replica.health_port}/health/ready") as answer:
                assert answer.status == 200
    finally:
        await rig.workspace.ask("POST", "tokens/revoke", token="bot", restore=True)
        await rig.replicas[0].stop()
        await rig.replicas[0].start(http)  # a start stores the token again

    async def alive() -> bool:
        return (await rig.row("select state from gateway.installations"))["state"] == "active"

    await eventually(alive, what="the installation lives again")
