"""Modals as people use them: a shortcut that opens one, fields that are filled in, and what the app answers."""

import json
from typing import Any, cast

from playground.api.call import ApiError
from playground.api.views import pushed, replaced
from playground.box import Box
from playground.channel import Channel
from playground.deliver import Deliverer
from playground.interact import Outcome, channel_name, parsed
from playground.model import User
from playground.state import trigger_id

Given = dict[str, str | list[str]]


def views_of(box: Box, user: User) -> list[dict[str, Any]]:
    """What that person has open, the newest last."""
    return [view for view in box.workspace.views.values() if view.get("viewer") == user["id"]]


async def run_shortcut(box: Box, deliverer: Deliverer, user: User, callback_id: str) -> Outcome:
    """A global shortcut: it has neither channel nor response_url."""
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    payload = common_fields(box, user, "shortcut", trigger) | {
        "callback_id": callback_id,
        "action_ts": "1.000001",
    }
    return Outcome(trigger, "", await deliverer.send_form("interactivity", {"payload": json.dumps(payload)}))


async def run_message_shortcut(
    box: Box, deliverer: Deliverer, user: User, callback_id: str, channel: Channel, ts: str
) -> Outcome:
    """A shortcut of a message: it comes with the message, and with a response_url. Raises ApiError."""
    message = channel.get(ts)
    if message is None or user["id"] not in channel.members:
        raise ApiError("message_not_found")
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    target = box.response_target(channel.id, user["id"], thread_ts=message.get("thread_ts"))
    response_url = box.new_response_url(target)
    payload = common_fields(box, user, "message_action", trigger) | {
        "callback_id": callback_id,
        "action_ts": channel.next_ts(),
        "message_ts": ts,
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "message": message,
        "response_url": response_url,
    }
    fields = {"payload": json.dumps(payload, ensure_ascii=False)}
    return Outcome(trigger, response_url, await deliverer.send_form("interactivity", fields))


async def submit(box: Box, deliverer: Deliverer, user: User, view_id: str, given: Given) -> Outcome:
    """Send a form off. It closes, unless the app says what is wrong with it."""
    view = box.workspace.views.get(view_id)
    if view is None or view.get("viewer") != user["id"]:
        raise ApiError("view_not_found")
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    sent = {key: value for key, value in view.items() if key != "viewer"}
    sent["state"] = {"values": _values(box, view, given)}
    payload = common_fields(box, user, "view_submission", trigger) | {"view": sent, "response_urls": []}
    fields = {"payload": json.dumps(payload, ensure_ascii=False)}
    attempt = await deliverer.send_form("interactivity", fields)
    outcome = Outcome(trigger, "", attempt)
    if not attempt.accepted:
        return outcome  # the form stays open, with Slack's "we had some trouble connecting"
    _follow(box, user, view, parsed(attempt.body) or {})
    return outcome


def _follow(box: Box, user: User, view: dict[str, Any], answer: dict[str, Any]) -> None:
    """Do what the app says of a form that was sent off. Without a word it closes. Raises ApiError."""
    action, given = answer.get("response_action"), cast("dict[str, Any]", answer.get("view") or {})
    if action == "errors":
        return
    if action == "update":
        replaced(box.workspace, view, given)
    elif action == "push":
        pushed(box.workspace, user["id"], given)
    elif action == "clear":
        for each in views_of(box, user):
            del box.workspace.views[each["id"]]
    else:
        box.workspace.views.pop(view["id"], None)
    box.hub.publish("view", {"viewer": user["id"]})


def close(box: Box, user: User, view_id: str) -> None:
    """Leave it."""
    view = box.workspace.views.get(view_id)
    if view is not None and view.get("viewer") == user["id"]:
        del box.workspace.views[view_id]
        box.hub.publish("view", {"viewer": user["id"]})


def common_fields(box: Box, user: User, kind: str, trigger: str) -> dict[str, Any]:
    """What every interaction without a message tells."""
    workspace = box.workspace
    return {
        "type": kind,
        "team": None if box.is_org_wide else {"id": workspace.team_id, "domain": workspace.domain},
        "enterprise": {"id": box.settings.enterprise_id} if box.settings.enterprise_id else None,
        "is_enterprise_install": box.is_org_wide,
        "user": {
            "id": user["id"],
            "username": user["name"],
            "name": user["name"],
            "team_id": workspace.team_id,
        },
        "api_app_id": workspace.app.app_id,
        "token": "deprecated",
        "trigger_id": trigger,
    }


def _values(box: Box, view: dict[str, Any], given: Given) -> dict[str, dict[str, Any]]:
    """As Slack sends them: every input, also those that were left empty. Raises ApiError."""
    values: dict[str, dict[str, Any]] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element = cast("dict[str, Any]", block["element"])
        block_id = str(block["block_id"])
        field = _field(box, element, given.get(block_id))
        is_empty = not any(value for key, value in field.items() if key != "type")
        if is_empty and not block.get("optional"):
            raise ApiError("required_field_missing", block_id=block_id)
        values[block_id] = {str(element["action_id"]): field}
    return values


def _field(box: Box, element: dict[str, Any], given: str | list[str] | None) -> dict[str, Any]:
    kind = str(element["type"])
    if kind == "plain_text_input":
        return {"type": kind, "value": str(given) if given else element.get("initial_value")}
    if kind == "users_select":
        user = box.workspace.find_user(str(given)) if given else None
        if given and user is None:
            raise ApiError("user_not_found")
        return {"type": kind, "selected_user": user["id"] if user else None}
    options = {str(option["value"]): option for option in element.get("options") or []}
    named = given if isinstance(given, list) else [given] if given else []
    if any(each not in options for each in named):
        raise ApiError("option_not_found")
    chosen = [options[each] for each in named]
    if kind in ("static_select", "radio_buttons"):
        return {"type": kind, "selected_option": chosen[0] if chosen else element.get("initial_option")}
    if kind == "checkboxes":
        return {"type": kind, "selected_options": chosen}
    raise ApiError("unsupported_element")
