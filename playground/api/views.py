"""views.*: modals, of which somebody sees up to three on top of each other, and the App Home."""

import secrets
from typing import Any, cast

from playground.api.call import Answer, ApiError, Call
from playground.api.chat import checked_blocks
from playground.channel import now_us
from playground.state import Workspace

View = dict[str, Any]
STACK = 3


def _given(call: Call) -> View:
    view = call.nested("view")
    if not isinstance(view, dict):
        raise ApiError(
            "invalid_arguments", response_metadata={"messages": ["[ERROR] missing required field: view"]}
        )
    return cast("View", view)


def made(workspace: Workspace, given: View, **fields: Any) -> View:
    """What Slack makes of a view. `fields`: of the one that it takes the place of, or lies on. Raises ApiError."""
    view_id = f"V0{secrets.token_hex(5).upper()}"
    shape = {
        "id": view_id,
        "team_id": workspace.team_id,
        "type": given.get("type", "modal"),
        "title": given.get("title"),
        "blocks": checked_blocks(given.get("blocks")) or [],
        "submit": given.get("submit"),
        "close": given.get("close"),
        "private_metadata": given.get("private_metadata", ""),
        "callback_id": given.get("callback_id", ""),
        "external_id": given.get("external_id", ""),
        "state": {"values": {}},
        "hash": f"{now_us()}.{secrets.token_hex(4)}",
        "root_view_id": view_id,
        "previous_view_id": None,
        "app_id": workspace.app.app_id,
        "bot_id": workspace.app.bot_id,
    }
    return shape | fields


def replaced(workspace: Workspace, old: View, given: View) -> View:
    """Another view in the place of one that is open. Raises ApiError."""
    kept = {key: old[key] for key in ("id", "root_view_id", "previous_view_id", "viewer")}
    view = workspace.views[old["id"]] = made(workspace, given, **kept)
    return view


def pushed(workspace: Workspace, viewer: str, given: View) -> View:
    """Another view on top of what that person has open. Raises ApiError."""
    below = [view for view in workspace.views.values() if view["viewer"] == viewer]
    if not below:
        raise ApiError("not_found")
    if len(below) >= STACK:
        raise ApiError("push_limit_reached")
    view = made(
        workspace,
        given,
        root_view_id=below[0]["root_view_id"],
        previous_view_id=below[-1]["id"],
        viewer=viewer,
    )
    workspace.views[view["id"]] = view
    return view


def _shown(call: Call, view: View) -> Answer:
    call.box.hub.publish("view", {"viewer": view["viewer"]})
    return {"view": {key: value for key, value in view.items() if key != "viewer"}}


def _person(call: Call) -> str:
    """Whose press the trigger_id is of: three seconds old at most, good once. Raises ApiError."""
    (trigger,) = call.required("trigger_id")
    if (code := call.box.use_trigger(trigger)) is not None:
        raise ApiError(code)
    return call.box.trigger_users.get(trigger, "")


def open_(call: Call) -> Answer:
    """views.open"""
    given = _given(call)
    view = made(call.workspace, given, viewer=_person(call))
    call.workspace.views[view["id"]] = view
    return _shown(call, view)


def push(call: Call) -> Answer:
    """views.push"""
    given = _given(call)
    return _shown(call, pushed(call.workspace, _person(call), given))


def update(call: Call) -> Answer:
    """views.update: by the view's id or the app's own for it; with `hash` only what nobody changed since."""
    view_id, external_id = call.text("view_id"), call.text("external_id")
    if view_id is None and external_id is None:
        call.required("view_id")
    old = next(
        (
            view
            for view in call.workspace.views.values()
            if view["id"] == view_id or (external_id and view["external_id"] == external_id)
        ),
        None,
    )
    if old is None:
        raise ApiError("not_found")
    if call.text("hash") not in (None, old["hash"]):
        raise ApiError("hash_conflict")
    return _shown(call, replaced(call.workspace, old, _given(call)))


def publish(call: Call) -> Answer:
    """views.publish: one home per person."""
    user = call.user("user_id")
    old = call.workspace.homes.get(user["id"])
    if old is not None and call.text("hash") not in (None, old["hash"]):
        raise ApiError("hash_conflict")
    view = made(call.workspace, _given(call), **({} if old is None else {"id": old["id"]}))
    call.workspace.homes[user["id"]] = view
    call.box.hub.publish("home", {"viewer": user["id"]})
    return {"view": view}


METHODS = {"views.open": open_, "views.push": push, "views.update": update, "views.publish": publish}
