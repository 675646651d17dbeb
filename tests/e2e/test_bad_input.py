"""What is wrong at the door stays outside; what is wrong on the bus is parked once and holds nobody up."""

import json
from typing import Any

import pytest

from tests.support.bus import BusReader
from tests.support.stack import Stack
from tests.support.story import Workspace
from tests.support.waiting import eventually

pytestmark = [pytest.mark.story, pytest.mark.engine, pytest.mark.timeout(300)]

EVENT = {"type": "event_callback", "team_id": "T0DOPPEL", "api_app_id": "A0DOPPEL", "event_id": "EvBAD1"}


@pytest.mark.parametrize(
    ("what", "request_body", "status"),
    [
        ("bad signature", {"json": EVENT, "signature": "bad"}, 401),
        ("missing signature", {"json": EVENT, "signature": "missing"}, 401),
        ("old signature", {"json": EVENT, "signature": "old"}, 401),
        ("not JSON", {"body": "{oops"}, 400),
        ("not an object", {"body": "[]"}, 400),
        ("hostile ids", {"json": {**EVENT, "team_id": "../../x", "event": {"type": "app_mention"}}}, 400),
        ("too large", {"body": "x" * 900_000}, 413),
    ],
)
async def test_a_bad_request_is_refused_and_nothing_is_published(
    workspace: Workspace, bus: BusReader, what: str, request_body: dict[str, Any], status: int
) -> None:
    since = await bus.last_sequence("SLACK_EVENT")
    answer = await workspace.ask("POST", "raw", path="/slack/events", **request_body)
    assert answer["status"] == status, what
    assert await bus.last_sequence("SLACK_EVENT") == since


async def test_url_verification_is_answered(workspace: Workspace) -> None:
    body = {"type": "url_verification", "challenge": "c0ffee", "token": "x"}
    answer = await workspace.ask("POST", "raw", path="/slack/events", json=body)
    assert answer["status"] == 200
    assert "c0ffee" in str(answer["body"])


def poison(subject: str) -> list[bytes]:
    hostile: dict[str, dict[str, Any]] = {
        "slack.event": {"payload": {"kind": "event", **EVENT, "team_id": "../../x", "event": {"type": "x"}}},
        "scrape.request": {"team_id": "../../x", "source": "api"},
        "train.request": {"team_id": "T0DOPPEL", "user_id": "../../x"},
        "generate.request": {"team_id": "../../x", "turns": [{"role": "user", "content": "hi"}]},
    }
    wrong = {"team_id": 7, "turns": "no", "payload": 3, "source": [], "user_id": {}}
    return [
        b"{oops",
        b"\xff\xfe\x00",
        b"[" * 3000,
        json.dumps(wrong).encode(),
        json.dumps(hostile[subject]).encode(),
    ]


@pytest.mark.parametrize("subject", ["slack.event", "scrape.request", "train.request", "generate.request"])
async def test_poison_is_parked_once_with_its_bytes(bus: BusReader, subject: str) -> None:
    since = await bus.last_sequence("DEAD")
    sent = poison(subject)
    for body in sent:
        await bus.publish(subject, body)

    async def parked() -> list[Any] | None:
        found = await bus.stored("DEAD", f"dead.{subject}", since)
        return found if len(found) >= len(sent) else None

    found = await eventually(parked, what=f"{len(sent)} dead letters of {subject}", within_s=60)
    assert sorted(message.data for message in found) == sorted(sent)
    assert all(message.headers["doppel-error-code"] == "undecodable" for message in found)


async def test_the_next_message_is_served(workspace: Workspace) -> None:
    asked = await workspace.say("dev", "eng", "@doppel still there?")
    assert await workspace.reply("eng", asked["ts"])


async def test_dead_letters_are_shown_to_the_operator(stack: Stack) -> None:
    code, out = await stack.cli("dead", "list", "--json")
    assert code == 0, out
    assert "dead.train.request" in out


async def test_an_unknown_person_gets_one_plain_sentence(workspace: Workspace) -> None:
    answer = await workspace.command("bram", "general", "train @nobody-of-that-name")
    said = str(answer["response"])

    async def shown() -> bool:
        found = await workspace.ask("GET", "messages", channel="general", viewer="bram")
        return "nobody-of-that-name" in said + str(found["ephemerals"]) + str(found["messages"][-3:])

    await eventually(shown, what="the sentence")


async def test_a_guest_is_never_asked(workspace: Workspace) -> None:
    await workspace.command("bram", "general", "train <@U0GUEST>")

    async def told() -> bool:
        found = await workspace.ask("GET", "messages", channel="general", viewer="bram")
        return "guest" in str(found["ephemerals"]).lower() + str(found["messages"][-3:]).lower()

    await eventually(told, what="the reason")
    guest = await workspace.ask("POST", "dm", user="U0GUEST")
    assert not await workspace.bot_messages(guest["channel"])


async def test_a_persona_without_an_adapter_is_a_typed_error(bus: BusReader) -> None:
    body = {"team_id": "T0DOPPEL", "user_id": "U0FINN", "turns": [{"role": "user", "content": "hello"}]}
    await bus.publish("generate.request", body)
    result = await bus.fact("generate.result", user_id="U0FINN")
    assert result["error"]["code"] in {"adapter_missing", "no_consent"}


async def test_a_request_past_its_deadline_is_answered_not_generated(bus: BusReader) -> None:
    request_id = "00000000-0000-0000-0000-00000000dead"
    turns = [{"role": "user", "content": "late"}]
    body = {
        "team_id": "T0DOPPEL",
        "request_id": request_id,
        "turns": turns,
        "deadline_at": "2020-01-01T00:00:00Z",
    }
    await bus.publish("generate.request", body)
    result = await bus.fact("generate.result", request_id=request_id)
    assert result["error"]["code"] == "deadline_passed"


async def test_a_hand_published_question_streams_and_is_answered(bus: BusReader) -> None:
    request_id = "00000000-0000-0000-0000-00000000f00d"
    subscription = await bus.client.subscribe(f"generate.token.{request_id}")
    turns = [{"role": "user", "content": "Bram: what is a pipeline?"}]
    await bus.publish("generate.request", {"team_id": "T0DOPPEL", "request_id": request_id, "turns": turns})
    result = await bus.fact("generate.result", request_id=request_id)
    pieces: list[dict[str, Any]] = []
    while not pieces or not pieces[-1].get("done"):
        pieces.append(json.loads((await subscription.next_msg(timeout=10)).data))
    await subscription.unsubscribe()
    assert [piece["seq"] for piece in pieces] == list(range(len(pieces)))
    assert "".join(piece["text"] for piece in pieces).strip() == result["text"].strip()


async def test_every_service_tells_its_health_and_metrics(stack: Stack, workspace: Workspace) -> None:
    for name, url in stack.endpoints["metrics"].items():
        base = url.removesuffix("/metrics")
        for path, expected in (("/health/live", 200), ("/health/ready", 200), ("/metrics", 200)):
            async with workspace.http.get(base + path) as response:
                assert response.status == expected, (name, path)
