"""Ids of one workspace in what another sends: nothing happens where they belong, and nothing where they came from."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.integration.gateway.rig import Rig, request_of
from tests.integration.gateway.test_door import signed
from tests.integration.gateway.trainings import agree
from tests.integration.gateway_installs.browser import a_browser
from tests.integration.gateway_installs.test_installs import in_team
from tests.support.waiting import eventually

HERE, THERE = "T0DOPPEL", "T1OTHER"
PATIENT_S = 60.0


async def install(rig: Rig) -> None:
    async with a_browser(rig) as browser:
        status, text = await browser.install(THERE)
        assert status == 200, text


async def delivered(rig: Rig, path: str, body: bytes) -> None:
    """Let it in, and wait until the gateway is done with it."""
    url = f"{rig.replicas[0].url}/slack/{path}"
    async with rig.workspace.http.post(url, data=body, headers=signed(body)) as answer:
        assert answer.status == 200

    async def done() -> bool:
        info = await rig.engine.jetstream.consumer_info("SLACK_EVENT", "gateway")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await eventually(done, what="the gateway is done with it", within_s=PATIENT_S)


async def test_a_button_of_another_workspace_decides_nothing_here(rig: Rig) -> None:
    """The same person's id, the id of a question that was asked here: pressed there."""
    await install(rig)
    await rig.workspace.command("bram", "general", "train @grace")
    question = await rig.workspace.consent_question("grace")
    training = await rig.row("select request_id from gateway.trainings where user_id = 'U0GRACE'")
    payload = {
        "type": "block_actions",
        "api_app_id": "A0DOPPEL",
        "team": {"id": THERE},
        "user": {"id": "U0GRACE", "team_id": THERE},
        "trigger_id": "elsewhere.1",
        "container": {"channel_id": question.get("channel", "D1"), "message_ts": question["ts"]},
        "actions": [{"action_id": "consent_allow", "value": str(training["request_id"])}],
    }
    await delivered(rig, "interactivity", urlencode({"payload": json.dumps(payload)}).encode())
    assert not await rig.row("select true from gateway.consents where user_id = 'U0GRACE'")
    assert not [each for each in await rig.facts("scrape.request") if each.get("user_id") == "U0GRACE"]


async def test_a_mention_that_names_another_workspaces_channel_is_not_answered_there(rig: Rig) -> None:
    await install(rig)
    said = await rig.workspace.say("bram", "general", "no mention, walrus")
    event: dict[str, Any] = {
        "type": "app_mention", "channel": "C0GENERAL", "user": "U0BRAM", "text": "<@U0DOPPEL> walrus?",
        "ts": said["ts"],
    }  # fmt: skip
    envelope = {
        "type": "event_callback",
        "team_id": THERE,
        "api_app_id": "A0DOPPEL",
        "event_id": "EvELSEWHERE1",
        "authorizations": [{"team_id": THERE, "user_id": "U0DOPPEL", "is_enterprise_install": False}],
        "event": event,
    }
    await delivered(rig, "events", json.dumps(envelope).encode())
    question = await rig.engine.question_about("walrus", within_s=PATIENT_S)
    assert question.team_id == THERE
    await rig.engine.answer(question, "Whiskers.")

    async def given_up() -> bool:
        assert question.request_id
        return (await request_of(rig, question.request_id))["state"] == "failed"

    await eventually(given_up, what="it is given up", within_s=PATIENT_S)
    assert await rig.replies("general", said["ts"]) == []


async def test_a_persona_of_another_workspace_answers_nobody_here(rig: Rig) -> None:
    await install(rig)
    await agree(rig, "U0ELENA", "Elena")  # here, not there
    there = in_team(rig, THERE)
    asked = await there.say("bram", "general", "@doppel as <@U0ELENA>: narwhal?")
    reply = await there.reply("general", asked["ts"], within_s=PATIENT_S)
    assert "has not agreed" in reply["text"]
    asked = await rig.workspace.say("bram", "general", "@doppel as <@U0ELENA>: narwhal?")
    reply = await rig.workspace.reply("general", asked["ts"], within_s=PATIENT_S)
    assert "is not trained yet" in reply["text"]
