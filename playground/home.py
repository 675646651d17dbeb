"""The App Home as people use it: opening its tab, and pressing what the app shows there."""

import json
from typing import Any

from playground.api.call import ApiError
from playground.box import Box
from playground.deliver import Deliverer
from playground.forms import common_fields
from playground.interact import Outcome, find_element
from playground.model import User
from playground.state import trigger_id


def home_of(box: Box, user: User) -> dict[str, Any] | None:
    """What the app last published for that person."""
    return box.workspace.homes.get(user["id"])


def open_home(box: Box, deliverer: Deliverer, user: User) -> str | None:
    """Look at the tab: the app is told, where it asked for that. Returns the event's id."""
    if "app_home_opened" not in box.subscribed:
        return None
    channel = box.workspace.open_dm(user["id"])
    event: dict[str, Any] = {
        "type": "app_home_opened",
        "user": user["id"],
        "channel": channel.id,
        "tab": "home",
        "event_ts": channel.next_ts(),
    }
    view = home_of(box, user)
    if view is not None:
        event["view"] = view
    return deliverer.send_event(event)


async def press_home(
    box: Box, deliverer: Deliverer, user: User, action_id: str, value: str | None
) -> Outcome:
    """Press a button there: the payload has the view, and neither channel nor response_url. Raises ApiError."""
    view = home_of(box, user)
    if view is None:
        raise ApiError("view_not_found")
    block_id, element = find_element(view["blocks"], action_id, value)
    trigger = trigger_id()
    box.note_trigger(trigger, user["id"])
    action = {
        key: element[key] for key in ("action_id", "value", "text", "style", "type") if element.get(key)
    }
    payload = common_fields(box, user, "block_actions", trigger) | {
        "container": {"type": "view", "view_id": view["id"]},
        "view": view,
        "actions": [{**action, "block_id": block_id, "action_ts": "1.000001"}],
    }
    fields = {"payload": json.dumps(payload, ensure_ascii=False)}
    return Outcome(trigger, "", await deliverer.send_form("interactivity", fields))
