"""What people do besides writing: slash commands and buttons, as the payloads that Slack sends."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from playground.api.call import ApiError
from playground.box import Box
from playground.channel import Channel
from playground.deliver import Attempt, Deliverer
from playground.model import User
from playground.responses import show_answer
from playground.state import trigger_id
from playground.text import encode_typed


@dataclass(frozen=True)
class Outcome:
    """What came of it, for whoever asked."""

    trigger_id: str
    response_url: str
    attempt: Attempt

    def shown(self) -> dict[str, Any]:
        """As the control API tells it."""
        return {
            "trigger_id": self.trigger_id,
            "response_url": self.response_url,
            "status": self.attempt.status,
            "error": self.attempt.error,
            "response": parsed(self.attempt.body) or self.attempt.body,
        }


def channel_name(channel: Channel) -> str:
    """As payloads have it."""
    return {"im": "directmessage", "private": "privategroup"}.get(channel.kind, channel.name)


def parsed(body: str) -> dict[str, Any] | None:
    """An answer's JSON object; plain text is a text; None where there is nothing to show."""
    if not body.strip():
        return None
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {"text": body}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


async def run_command(
    box: Box, deliverer: Deliverer, user: User, channel: Channel, command: str, typed: str
) -> Outcome:
    """Send a slash command, show what the gateway answers within three seconds."""
    workspace = box.workspace
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    target = box.response_target(channel.id, user["id"])
    response_url = box.new_response_url(target)
    names = {"users": workspace.handles(), "channels": workspace.channel_names()}
    fields = {
        "token": "deprecated",
        "team_id": workspace.team_id,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": channel_name(channel),
        "user_id": user["id"],
        "user_name": user["name"],
        "command": command,
        "text": encode_typed(typed.strip(), **names, with_names=True),
        "api_app_id": workspace.app.app_id,
        "is_enterprise_install": str(box.is_org_wide).lower(),
        **({"enterprise_id": box.settings.enterprise_id} if box.settings.enterprise_id else {}),
        "response_url": response_url,
        "trigger_id": trigger,
    }
    attempt = await deliverer.send_form("commands", fields)
    if not attempt.accepted:
        code = "operation_timeout" if attempt.error in ("http_timeout", "timeout") else "dispatch_failed"
        failed = {
            "username": "Slackbot",
            "user": "USLACKBOT",
            "text": f"{command} failed with the error “{code}”",
        }
        workspace.show_ephemeral(channel, user["id"], failed)
        return Outcome(trigger, response_url, attempt)
    answer = parsed(attempt.body)
    if answer is not None and (answer.get("text") or answer.get("blocks")):
        show_answer(box, target, answer)
    return Outcome(trigger, response_url, attempt)


def _elements(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What can be pressed in a block."""
    accessory = block.get("accessory")
    if isinstance(accessory, dict):
        yield cast("dict[str, Any]", accessory)
    for element in block.get("elements") or []:
        if isinstance(element, dict) and "action_id" in element:
            found = cast("dict[str, Any]", element)
            if found.get("type") == "feedback_buttons":
                for side in ("positive_button", "negative_button"):
                    yield {**found, "type": "feedback_buttons", "value": (found.get(side) or {}).get("value")}
            else:
                yield found


def find_element(
    blocks: list[dict[str, Any]], action_id: str, value: str | None
) -> tuple[str, dict[str, Any]]:
    """(block_id, element). Raises ApiError where there is none."""
    for block in blocks:
        for element in _elements(block):
            if element.get("action_id") == action_id and value in (None, element.get("value")):
                return str(block.get("block_id", "")), element
    raise ApiError("action_not_found")


async def press(
    box: Box,
    deliverer: Deliverer,
    user: User,
    channel: Channel,
    message_ts: str,
    action_id: str,
    value: str | None,
) -> Outcome:
    """Press a button of a message, or of an ephemeral that this person sees."""
    workspace = box.workspace
    ephemeral = workspace.find_ephemeral(channel, message_ts)
    if ephemeral is not None and ephemeral["viewer"] != user["id"]:
        raise ApiError("message_not_found")
    message = ephemeral or channel.get(message_ts)
    if message is None:
        raise ApiError("message_not_found")
    block_id, element = find_element(message.get("blocks") or [], action_id, value)
    if user["id"] not in element.get("visible_to_user_ids", [user["id"]]):
        raise ApiError("action_not_found")  # Slack does not show it to them
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    is_ephemeral = ephemeral is not None
    thread_ts = message.get("thread_ts")
    target = box.response_target(
        channel.id, user["id"], message_ts=message_ts, is_ephemeral=is_ephemeral, thread_ts=thread_ts
    )
    response_url = box.new_response_url(target)
    container = {
        "type": "message",
        "message_ts": message_ts,
        "channel_id": channel.id,
        "is_ephemeral": is_ephemeral,
    } | ({"thread_ts": thread_ts} if thread_ts else {})
    action = {
        key: element[key] for key in ("action_id", "value", "text", "style", "type") if element.get(key)
    }
    pressed_at = channel.next_ts()
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {
            "id": user["id"],
            "username": user["name"],
            "name": user["name"],
            "team_id": workspace.team_id,
        },
        "api_app_id": workspace.app.app_id,
        "token": "deprecated",
        "container": container,
        "trigger_id": trigger,
        "team": None if box.is_org_wide else {"id": workspace.team_id, "domain": workspace.domain},
        "enterprise": {"id": box.settings.enterprise_id} if box.settings.enterprise_id else None,
        "is_enterprise_install": box.is_org_wide,
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [{**action, "block_id": block_id, "action_ts": pressed_at}],
    }
    if not is_ephemeral:  # Slack leaves the message out of presses on ephemerals
        payload["message"] = message
    attempt = await deliverer.send_form("interactivity", {"payload": json.dumps(payload, ensure_ascii=False)})
    return Outcome(trigger, response_url, attempt)
