"""What tests of answers share: a persona's answer in a thread, its buttons, presses that no client would send."""

import json
from typing import Any
from uuid import uuid4

from proto.generate import GenerateRequest
from tests.integration.gateway.rig import Rig
from tests.integration.gateway.test_commands import ephemerals
from tests.integration.gateway.trainings import TEAM
from tests.support.waiting import eventually


async def answered(
    rig: Rig, user: str, channel: str, word: str, text: str, parts: int = 1
) -> tuple[list[dict[str, Any]], GenerateRequest]:
    """Ask about a word, let the engine answer; the bot's messages, and what the engine was asked."""
    asked = await rig.workspace.say(user, channel, f"@doppel {word}?")
    question = await rig.engine.question_about(word)
    await rig.engine.answer(question, text)
    return await replies(rig, channel, asked["ts"], parts), question


async def replies(rig: Rig, channel: str, thread_ts: str, count: int) -> list[dict[str, Any]]:
    """The bot's messages in a thread, once there are so many."""

    async def whole() -> list[dict[str, Any]] | None:
        found = await rig.replies(channel, thread_ts)
        return found if len(found) == count else None

    return await eventually(whole, what=f"{count} messages in {channel}/{thread_ts}", within_s=30)


async def texts_become(rig: Rig, channel: str, thread_ts: str, wanted: list[str]) -> None:
    """Wait until the bot's messages say this, and nothing else."""
    seen: list[str] = []

    async def said() -> bool:
        seen[:] = [each["text"] for each in await rig.replies(channel, thread_ts)]
        return seen == wanted

    try:
        await eventually(said, what=f"{wanted} in {channel}/{thread_ts}", within_s=30)
    except AssertionError as error:
        raise AssertionError(f"{error}, but {seen}") from error


def elements(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What can be pressed under a message, by action id."""
    return {
        element["action_id"]: element
        for block in message.get("blocks") or []
        for element in block.get("elements") or []
        if "action_id" in element
    }


async def press(
    rig: Rig, user: str, message: dict[str, Any], channel: str, action_id: str, **more: Any
) -> None:
    """Press a button of a message."""
    await rig.workspace.ask(
        "POST", "actions", user=user, channel=channel, message_ts=message["ts"], action_id=action_id, **more
    )


async def forge(
    rig: Rig, user_id: str, channel: str, ts: str, action_id: str, value: str, **more: Any
) -> int:
    """A signed press with whatever in it; the status that the door gave."""
    payload: dict[str, Any] = {
        "type": "block_actions",
        "api_app_id": "A0DOPPEL",
        "team": {"id": TEAM},
        "user": {"id": user_id},
        "trigger_id": f"t{uuid4().hex}",
        "container": {"channel_id": channel, "message_ts": ts},
        "response_url": "",
        "actions": [{"action_id": action_id, "value": value}],
    } | more
    answer = await rig.workspace.ask(
        "POST", "raw", path="/slack/interactivity", form={"payload": json.dumps(payload)}
    )
    return answer["status"]


async def told(rig: Rig, user: str, channel: str, words: str, count: int = 1) -> None:
    """Wait until that person alone was told so, so often."""

    async def heard() -> bool:
        return len([each for each in await ephemerals(rig, user, channel) if words in each]) >= count

    await eventually(heard, what=f"{words!r} to {user}, {count} times", within_s=20)
