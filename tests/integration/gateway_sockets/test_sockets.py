"""What comes over sockets is handled as what comes over HTTP, and nothing is lost while they change."""

import asyncio
import json
import signal
from typing import Any

import aiohttp

from tests.integration.gateway.rig import Rig
from tests.support.servers import frozen
from tests.support.waiting import eventually

SOCKETS = 4  # two replicas with two each


async def connected(rig: Rig, count: int = SOCKETS) -> None:
    async def there() -> bool:
        return len(rig.playground.sockets) == count

    await eventually(there, what=f"{count} sockets", within_s=30)


async def outcomes(rig: Rig, event_id: str) -> dict[str, Any]:
    found = (await rig.workspace.ask("GET", "events"))["events"]
    return next(each for each in found if each["event_id"] == event_id)


async def test_a_mention_is_answered(rig: Rig) -> None:
    await connected(rig)
    asked = await rig.workspace.say("bram", "general", "@doppel which socket?")
    question = await rig.engine.question_about("which socket")
    await rig.engine.answer(question, "The left one.")
    assert (await rig.workspace.reply("general", asked["ts"], within_s=15))["text"] == "The left one."
    assert [a["gateway"] for a in (await outcomes(rig, asked["event_ids"][0]))["attempts"]] == ["socket"]


async def test_a_command_and_a_button_are_answered(rig: Rig) -> None:
    await connected(rig)
    ran = await rig.workspace.command("bram", "general", "train @chiyo")
    assert "On it" in ran["response"]["text"]
    question = await rig.workspace.consent_question("chiyo")
    assert (await rig.workspace.press("chiyo", "@chiyo", question["ts"], "consent_no"))["status"] == 200

    async def refused() -> Any:
        return await rig.row("select granted from gateway.consents_now where user_id = 'U0CHIYO'")

    assert not (await eventually(refused, what="the no is written down"))["granted"]


async def test_a_burst_through_refreshes_is_answered_once_each(rig: Rig) -> None:
    """Every socket is told to go, again and again, while people speak: nothing is lost, nothing comes twice."""
    await connected(rig)
    asked: list[dict[str, Any]] = []
    for number in range(24):
        asked.append(await rig.workspace.say("dev", "general", f"@doppel refresh {number} please?"))
        if number % 8 == 3:
            await rig.workspace.ask("POST", "sockets/disconnect", reason="warning", close=number == 19)
    for _ in asked:
        question = await rig.engine.question_about("refresh")
        await rig.engine.answer(question, "Done.")
    for each in asked:
        await rig.workspace.reply("general", each["ts"], within_s=30)
    await rig.settled()
    assert {len(await rig.replies("general", each["ts"])) for each in asked} == {1}


async def test_the_next_socket_is_up_before_the_last_one_goes(rig: Rig) -> None:
    await connected(rig)
    old = list(rig.playground.sockets.connections)
    rig.playground.sockets.counts.clear()
    await rig.workspace.ask("POST", "sockets/disconnect", reason="refresh_requested", close=False)

    async def replaced() -> bool:
        return not set(old) & set(rig.playground.sockets.connections)

    await eventually(replaced, what="every socket is a new one", within_s=30)
    await connected(rig)
    assert len(rig.playground.sockets.counts) == 2 * SOCKETS
    assert min(rig.playground.sockets.counts) >= SOCKETS


async def test_what_the_bus_does_not_take_is_not_acked_and_comes_again(rig: Rig) -> None:
    await connected(rig)
    with frozen(rig.servers.running.supervisor, "nats"):
        asked = await rig.workspace.say("bram", "general", "@doppel who holds the frozen oar?")
        ran = await rig.workspace.command("bram", "general", "status")
        assert "try again" in ran["response"]["text"]

        async def tried() -> bool:
            return bool((await outcomes(rig, asked["event_ids"][0]))["attempts"])

        await eventually(tried, what="a try without an ack", within_s=15)
    first = (await outcomes(rig, asked["event_ids"][0]))["attempts"][0]
    assert (first["status"], first["error"]) == (None, "timeout")
    question = await rig.engine.question_about("frozen oar", within_s=30)
    await rig.engine.answer(question, "Nobody.")
    await rig.workspace.reply("general", asked["ts"], within_s=30)
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1


async def test_a_used_ticket_and_a_slack_in_trouble_are_tried_again_with_fresh_ones(rig: Rig) -> None:
    await connected(rig)
    await rig.workspace.fault("apps.connections.open", "stale_ticket", count=3)
    await rig.workspace.fault("apps.connections.open", "error", count=2, error="internal_error")
    await rig.workspace.fault("apps.connections.open", "reset_before", count=2)
    await rig.workspace.ask("POST", "sockets/disconnect", reason="warning", close=True)
    await connected(rig)


async def test_a_killed_replica_loses_nothing(rig: Rig) -> None:
    await connected(rig)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        asked = [await rig.workspace.say("elena", "eng", f"@doppel dinghy {n}?") for n in range(3)]
        await rig.replicas[0].stop(signal.SIGKILL)
        asked += [await rig.workspace.say("elena", "eng", f"@doppel dinghy {n}?") for n in range(3, 6)]
        for _ in asked:
            await rig.engine.answer(await rig.engine.question_about("dinghy", within_s=30), "Rowed.")
        for each in asked:
            await rig.workspace.reply("eng", each["ts"], within_s=30)
        await rig.settled()
        assert {len(await rig.replies("eng", each["ts"])) for each in asked} == {1}
        await rig.replicas[0].start(http)
    await connected(rig)


async def test_frames_that_are_none_of_slacks_are_passed_over(rig: Rig) -> None:
    """No ack, no message on the bus, and the socket stays."""
    await connected(rig)
    before = (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq
    sockets = rig.playground.sockets
    for connection in list(sockets.connections):
        for text in ("", "[]", "{", "[" * 5000, '{"envelope_id": "x"}', '{"type": "hello"}', "null"):
            await connection.socket.send_str(text)
        for kind, payload in (("events_api", None), ("slash_commands", {"text": 1}), ("new", {}), (7, [])):
            frame = {"envelope_id": "e", "type": kind, "payload": payload}
            await connection.socket.send_str(json.dumps(frame))
    await asyncio.gather(*(connection.socket.ping() for connection in sockets.connections))
    asked = await rig.workspace.say("finn", "eng", "@doppel still there?")
    await rig.engine.answer(await rig.engine.question_about("still there"), "Yes.")
    await rig.workspace.reply("eng", asked["ts"], within_s=15)
    assert (await rig.engine.jetstream.stream_info("SLACK_EVENT")).state.last_seq == before + 1
    assert len(sockets) == SOCKETS


async def test_no_log_has_a_ticket_or_a_token(rig: Rig) -> None:
    logs = "".join(replica.log.read_text() for replica in rig.replicas)
    assert "socket open" in logs
    for word in ("xapp-playground", "xoxb-", "ticket=", "dinghy"):
        assert word not in logs, word
