"""An answer is seen while it is written, and in the end it is one message with the right words, whatever happens."""

import signal
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from proto.generate import Cancel, GenerateRequest, TokenDelta
from tests.integration.gateway.answers import elements, replies, texts_become, told
from tests.integration.gateway.rig import Rig, request_of
from tests.integration.gateway.test_commands import GRACE, TABLES, command, persona
from tests.integration.gateway.trainings import TEAM
from tests.integration.gateway_streams.conftest import A_MINUTE
from tests.support.story import text_of
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
async def tidy(rig: Rig) -> AsyncGenerator[None]:
    """Nobody's persona, and this minute's streams are not counted."""

    async def clean() -> None:
        await rig.workspace.ask("DELETE", "faults")
        await rig.settled()
        for table in TABLES:
            await rig.change(f"delete from {table} where team_id = $1", TEAM)
        await rig.change("update gateway.outbox set stream_at = stream_at - interval '1 hour'")

    await clean()
    yield
    await clean()


async def asked(rig: Rig, word: str) -> tuple[str, GenerateRequest]:
    """Ask; the question's ts, and what the engine was asked."""
    said = await rig.workspace.say("dev", "eng", f"@doppel {word}?")
    return said["ts"], await rig.engine.question_about(word)


async def pieces(rig: Rig, request: GenerateRequest, *texts: str, start: int = 0, done: bool = False) -> None:
    """As inference writes them."""
    assert request.request_id
    for seq, text in enumerate(texts, start=start):
        piece = TokenDelta(
            request_id=request.request_id, seq=seq, text=text, done=done and seq - start == len(texts) - 1
        )
        await rig.engine.bus.publish_core(f"generate.token.{request.request_id}", piece)


async def calls(rig: Rig, name: str) -> int:
    found = (await rig.workspace.ask("GET", "stats"))["calls"]
    return int(found.get(name, 0))


async def test_an_answer_grows_and_ends_as_one_message(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    ts, request = await asked(rig, "herons")
    shown = await rig.workspace.ask("GET", "messages", channel="eng", thread_ts=ts)
    assert shown["status"] == {"status": "is thinking…", "username": "Grace (AI)"}
    await pieces(rig, request, "they stand", " still <!channel")
    (growing,) = await replies(rig, "eng", ts, 1)
    assert growing["username"] == "Grace (AI)"
    await pieces(rig, request, "> & wait", start=2)
    await texts_become(rig, "eng", ts, ["they stand still <\u2060!channel> & wait"])
    await pieces(
        rig, request, "\n\nfor fish", start=3, done=True
    )  # the next message is not streamed into this one
    await rig.engine.answer(request, "they stand still <!channel> & wait\n\nfor fish")
    await texts_become(rig, "eng", ts, ["they stand still &lt;!channel&gt; &amp; wait", "for fish"])
    first, last = await rig.replies("eng", ts)
    assert first["ts"] == growing["ts"]
    assert first["metadata"]["event_payload"] == {"request_id": str(request.request_id), "part": 0}
    assert "AI-generated in Grace" in text_of(first)
    assert "answer_again" in elements(last)
    shown = await rig.workspace.ask("GET", "messages", channel="eng", thread_ts=ts)
    assert shown["status"] is None
    await rig.settled()


@pytest.mark.parametrize("when", ["begun", "growing"])
async def test_a_killed_replica_leaves_a_stream_that_another_finishes(
    rig: Rig, http: aiohttp.ClientSession, when: str
) -> None:
    ts, request = await asked(rig, f"storks {when}")
    if when == "begun":
        await rig.workspace.fault("chat.startStream", "reset_after", count=1)
    await pieces(rig, request, "on one")
    (begun,) = await replies(rig, "eng", ts, 1)
    for replica in rig.replicas:
        await replica.stop(signal.SIGKILL)
    for replica in rig.replicas:
        await replica.start(http)
    await rig.engine.answer(request, "on one leg")
    await texts_become(rig, "eng", ts, ["on one leg"])
    assert (await rig.replies("eng", ts))[0]["ts"] == begun["ts"]
    await rig.settled()


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("chat.startStream", "reset_after"),
        ("chat.startStream", "reset_before"),
        ("chat.startStream", "ratelimited"),
        ("chat.appendStream", "status"),
        ("chat.stopStream", "reset_after"),
        ("chat.update", "status_after"),
    ],
)
async def test_one_reply_though_slack_stumbles(rig: Rig, method: str, kind: str) -> None:
    ts, request = await asked(rig, f"ibises {method} {kind}")
    await rig.workspace.fault(method, kind, count=1)
    await pieces(rig, request, "curved", " bills", done=True)
    await rig.engine.answer(request, "curved bills")
    await texts_become(rig, "eng", ts, ["curved bills"])
    await rig.settled()
    assert len(await rig.replies("eng", ts)) == 1


async def test_where_slack_takes_no_streams_a_message_is_rewritten(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    await rig.workspace.fault("chat.*Stream", "error", error="channel_type_not_supported", count=None)
    ts, request = await asked(rig, "egrets")
    await pieces(rig, request, "white")
    (begun,) = await replies(rig, "eng", ts, 1)
    assert (begun["username"], "AI-generated" in text_of(begun)) == ("Grace (AI)", True)
    await rig.engine.answer(request, "white plumes")
    await texts_become(rig, "eng", ts, ["white plumes"])
    assert (await rig.replies("eng", ts))[0]["ts"] == begun["ts"]


async def test_a_reader_stops_it_and_what_was_written_stays(rig: Rig) -> None:
    cancels: list[str] = []

    async def heard(message: Any) -> None:
        assert Cancel.model_validate_json(message.data)
        cancels.append(message.subject)

    client = rig.engine.bus.client
    subscription = await client.subscribe("generate.cancel.*", cb=heard)
    await client.flush()
    ts, request = await asked(rig, "bitterns")
    await pieces(rig, request, "they")
    (begun,) = await replies(rig, "eng", ts, 1)
    await rig.workspace.ask("POST", "streams/stop", user="dev", channel="eng", ts=begun["ts"])
    await pieces(rig, request, " boom", start=1)
    await texts_become(rig, "eng", ts, ["they boom"])
    await eventually(
        lambda: is_in(f"generate.cancel.{request.request_id}", cancels), what="the engine is told"
    )
    await rig.engine.answer(request, "they boom at dusk")
    await rig.settled()
    assert [each["text"] for each in await rig.replies("eng", ts)] == ["they boom"]
    await subscription.unsubscribe()


async def is_in(subject: str, cancels: list[str]) -> bool:
    return subject in cancels


async def test_a_no_takes_away_what_stood_there(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    ts, request = await asked(rig, "spoonbills")
    await pieces(rig, request, "like")
    await replies(rig, "eng", ts, 1)
    await command(rig, "grace", "general", "consent no", "You said no")
    await pieces(rig, request, " spoons", start=1)

    async def plain() -> bool:
        found = await rig.replies("eng", ts)
        return len(found) == 1 and "has not agreed" in found[0]["text"] and not found[0].get("username")

    await eventually(plain, what="one plain sentence in place of it")
    await rig.engine.answer(request, "like spoons")
    await rig.settled()
    assert len(await rig.replies("eng", ts)) == 1


async def test_what_takes_too_long_is_said_by_the_bot_itself(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    ts, request = await asked(rig, "flamingos")
    await pieces(rig, request, "pink")
    await replies(rig, "eng", ts, 1)
    await rig.change(
        "update gateway.outbox set deadline_at = now() where request_id = $1", request.request_id
    )

    async def plain() -> bool:
        found = await rig.replies("eng", ts)
        return len(found) == 1 and "took too long" in found[0]["text"] and not found[0].get("username")

    await eventually(plain, what="one plain sentence in place of it")


async def test_above_the_minutes_budget_answers_come_in_one_piece(rig: Rig) -> None:
    before = await calls(rig, "chat.startStream")
    for number in range(A_MINUTE + 1):
        ts, request = await asked(rig, f"avocets {number}")
        await pieces(rig, request, "up")
        if number < A_MINUTE:
            await replies(rig, "eng", ts, 1)
        await pieces(rig, request, "turned", start=1, done=True)
        await rig.engine.answer(request, "upturned")
        await texts_become(rig, "eng", ts, ["upturned"])
    assert await calls(rig, "chat.startStream") == before + A_MINUTE


async def test_a_lost_piece_is_not_jumped_over(rig: Rig) -> None:
    ts, request = await asked(rig, "lapwings")
    await pieces(rig, request, "round")
    (begun,) = await replies(rig, "eng", ts, 1)
    await pieces(rig, request, " flight", start=2)
    await rig.engine.answer(request, "round wings, slow flight")
    await texts_become(rig, "eng", ts, ["round wings, slow flight"])
    row = await request_of(rig, request.request_id)  # type: ignore[arg-type]
    assert row["message_ts"] == begun["ts"] == row["stream_ts"]


async def test_answers_for_one_person_are_not_streamed(rig: Rig) -> None:
    await persona(rig, GRACE, "Grace")
    await rig.workspace.command("dev", "general", "ask @grace dotterels?")
    request = await rig.engine.question_about("dotterels")
    before = await calls(rig, "chat.startStream")
    await pieces(rig, request, "tame", done=True)
    await rig.engine.answer(request, "tame")
    await told(rig, "dev", "general", "Grace (AI): tame")
    assert await calls(rig, "chat.startStream") == before
