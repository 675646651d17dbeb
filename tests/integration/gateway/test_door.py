"""What comes in over HTTP: what is let in is on the bus before the 200; what is not leaves no trace."""

import asyncio
import hashlib
import hmac
import json
import signal
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.integration.gateway.rig import SECRET, Rig
from tests.integration.gateway.test_training import bot_said
from tests.support.servers import frozen
from tests.support.waiting import eventually

EVENT = {
    "type": "event_callback",
    "team_id": "T0DOPPEL",
    "api_app_id": "A0DOPPEL",
    "event_id": "EvDOOR1",
    "event": {"type": "reaction_added", "user": "U0ADA", "reaction": "eyes"},
}


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


async def knock(
    rig: Rig, http: aiohttp.ClientSession, path: str, body: bytes, headers: Any = None
) -> tuple[int, str, float]:
    started = time.monotonic()
    given = signed(body) if headers is None else headers
    async with http.post(rig.replicas[0].url + path, data=body, headers=given) as answer:
        return answer.status, await answer.text(), time.monotonic() - started


def changed(event: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(event | fields).encode()


BODY = changed(EVENT)


@pytest.mark.parametrize(
    ("what", "path", "body", "headers", "status"),
    [
        ("no signature", "/slack/events", BODY, {}, 401),
        ("another secret", "/slack/events", BODY, lambda: signed(BODY, secret="x"), 401),
        ("old", "/slack/events", BODY, lambda: signed(BODY, at=time.time() - 400), 401),
        ("from the future", "/slack/events", BODY, lambda: signed(BODY, at=time.time() + 400), 401),
        ("of another body", "/slack/events", BODY, lambda: signed(b"{}"), 401),
        (
            "two signatures",
            "/slack/events",
            BODY,
            lambda: [*signed(BODY).items(), ("X-Slack-Signature", "v0=" + "0" * 64)],
            401,
        ),
        (
            "a strange time",
            "/slack/events",
            BODY,
            lambda: signed(BODY) | {"X-Slack-Request-Timestamp": "nan"},
            401,
        ),
        ("not JSON", "/slack/events", b"{oops", None, 400),
        ("deep JSON", "/slack/events", b"[" * 100_000, None, 400),
        ("wrong encoding", "/slack/events", b'{"type": "\xff\xfe"}', None, 400),
        ("not an object", "/slack/events", b"[]", None, 400),
        ("hostile ids", "/slack/events", changed(EVENT, team_id="../../x"), None, 400),
        ("no event", "/slack/events", changed({k: v for k, v in EVENT.items() if k != "event"}), None, 400),
        ("no command", "/slack/commands", b"text=train", None, 400),
        ("no form", "/slack/commands", b"\xff\xfe", None, 400),
        ("no payload", "/slack/interactivity", b"payload=oops", None, 400),
        ("too large", "/slack/events", b"x" * 600_000, None, 413),
    ],
)
async def test_what_is_refused_is_not_published(
    rig: Rig, http: aiohttp.ClientSession, what: str, path: str, body: bytes, headers: Any, status: int
) -> None:
    before = (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq
    given = headers() if callable(headers) else headers  # signed now, not when the tests were collected
    assert (await knock(rig, http, path, body, given))[0] == status, what
    assert (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq == before


async def test_a_sender_that_dawdles_is_not_waited_for(rig: Rig) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.replicas[0].port)
    writer.write(b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    async with asyncio.timeout(6):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_the_challenge_is_answered(rig: Rig, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c0ffee", "token": "x"}).encode()
    status, text, _ = await knock(rig, http, "/slack/events", body)
    assert (status, json.loads(text)) == (200, {"challenge": "c0ffee"})


async def test_the_certificate_check_is_answered(rig: Rig, http: aiohttp.ClientSession) -> None:
    assert (await knock(rig, http, "/slack/commands", b"ssl_check=1&token=x", {}))[0] == 200


async def test_what_is_let_in_is_on_the_bus(rig: Rig, http: aiohttp.ClientSession) -> None:
    before = (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq
    assert (await knock(rig, http, "/slack/events", changed(EVENT, event_id="EvDOOR2")))[0] == 200
    assert (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq == before + 1


async def test_only_the_person_asked_may_press(rig: Rig, http: aiohttp.ClientSession) -> None:
    await rig.workspace.command("bram", "general", "train @finn")
    question = await rig.workspace.consent_question("finn")
    training = await rig.row("select request_id from gateway.trainings where user_id = 'U0FINN'")
    payload = {
        "type": "block_actions",
        "api_app_id": "A0DOPPEL",
        "team": {"id": "T0DOPPEL"},
        "user": {"id": "U0BRAM", "team_id": "T0DOPPEL"},
        "trigger_id": "forged.1",
        "container": {"channel_id": "C0GENERAL", "message_ts": question["ts"]},
        "actions": [{"action_id": "consent_allow", "value": str(training["request_id"])}],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    assert (await knock(rig, http, "/slack/interactivity", body))[0] == 200
    await bot_said(rig, "@bram", "can answer that")  # no response_url: told by DM
    assert not await rig.row("select true from gateway.consents where user_id = 'U0FINN'")


async def test_while_the_bus_is_away_slack_is_asked_to_retry(rig: Rig, http: aiohttp.ClientSession) -> None:
    command = urlencode(
        {
            "team_id": "T0DOPPEL",
            "api_app_id": "A0DOPPEL",
            "channel_id": "C0GENERAL",
            "user_id": "U0BRAM",
            "command": "/doppel",
            "text": "status",
            "trigger_id": "away.1",
        }
    ).encode()
    with frozen(rig.servers.running.supervisor, "nats"):
        status, _, seconds = await knock(rig, http, "/slack/events", changed(EVENT, event_id="EvDOOR3"))
        assert (status, seconds < 2.5) == (503, True)
        status, text, seconds = await knock(rig, http, "/slack/commands", command)
        assert (status, seconds < 2.5) == (200, True)
        answer = json.loads(text)
        assert answer["response_type"] == "ephemeral"
        assert "try again" in answer["text"]
    assert (await knock(rig, http, "/slack/events", changed(EVENT, event_id="EvDOOR4")))[0] == 200


async def test_while_the_database_is_frozen_nothing_is_lost(rig: Rig) -> None:
    with frozen(rig.servers.running.supervisor, "postgres"):
        asked = await rig.workspace.say("bram", "general", "@doppel kelp?")
        await rig.workspace.ask("POST", "drain", timeout_s=5)
    question = await rig.engine.question_about("kelp", within_s=30)
    await rig.engine.answer(question, "Brown.")
    await rig.workspace.reply("general", asked["ts"], within_s=30)
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1


@pytest.mark.parametrize("path", ["/avatars/../x.png", "/avatars/zz.png", "/avatars/%2e%2e%2fx.png", "/x"])
async def test_other_addresses_are_not_found(rig: Rig, http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(rig.replicas[0].url + path) as answer:
        assert answer.status == 404


async def test_a_killed_replica_leaves_one_reply(rig: Rig, http: aiohttp.ClientSession) -> None:
    asked = await rig.workspace.say("bram", "general", "@doppel barnacles?")
    question = await rig.engine.question_about("barnacles")
    await rig.workspace.fault("chat.postMessage", "slow", count=1, delay_s=0.7)
    await rig.engine.answer(question, "Sharp.")

    async def sending() -> bool:
        row = await rig.row("select state from gateway.outbox where request_id = $1", question.request_id)
        return row["state"] == "sending"

    await eventually(sending, what="the post is on its way")
    for replica in rig.replicas:
        await replica.stop(signal.SIGKILL)
    for replica in rig.replicas:
        await replica.start(http)
    await rig.workspace.reply("general", asked["ts"], within_s=30)
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1
