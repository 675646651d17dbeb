"""Which events a change makes, and the envelope they travel in."""

import secrets
import string
from typing import Any

from playground.box import Box
from playground.channel import Channel, now_us
from playground.model import Message
from playground.state import Change
from playground.text import mentions

_ALPHABET = string.ascii_uppercase + string.digits
# Never part of an event: metadata needs a scope that we do not have, counters are not sent.
_NOT_SENT = frozenset(
    {"metadata", "reply_count", "reply_users", "reply_users_count", "latest_reply", "is_locked", "subscribed"}
)
_CHANNEL_TYPES = {"public": "channel", "private": "group", "im": "im"}
_REACTIONS = {"reacted": "reaction_added", "unreacted": "reaction_removed"}
_MESSAGE_EVENTS = {"public": "message.channels", "im": "message.im"}


def new_event_id() -> str:
    """Globally unique; equal on retries."""
    return "Ev0" + "".join(secrets.choice(_ALPHABET) for _ in range(10))


def envelope(box: Box, event: dict[str, Any]) -> dict[str, Any]:
    """What is POSTed to /slack/events."""
    app = box.workspace.app
    team_id, enterprise_id = box.workspace.team_id, box.settings.enterprise_id
    authorization = {
        "enterprise_id": enterprise_id,
        "team_id": team_id,
        "user_id": app.user_id,
        "is_bot": True,
        "is_enterprise_install": box.is_org_wide,
    }
    return {
        "token": "deprecated",
        "team_id": team_id,
        "context_team_id": team_id,
        "context_enterprise_id": enterprise_id,
        "api_app_id": app.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": new_event_id(),
        "event_time": now_us() // 1_000_000,
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_hex(12)}",
    }


def events_of(box: Box, change: Change) -> list[dict[str, Any]]:
    """The events for one change, by subscription. The app's own posts come back too, as Slack sends them."""
    app = box.workspace.app
    channel = change.channel
    if app.user_id not in channel.members:
        return []
    if change.kind == "posted":
        return _for_post(box, channel, change.message)
    if change.kind == "changed" and change.previous is not None:
        return _for_edit(box, channel, change.message, change.previous)
    if change.kind == "deleted" and change.previous is not None:
        fields = {
            "hidden": True,
            "deleted_ts": change.message["ts"],
            "previous_message": _sendable(change.previous),
        }
        return _as_message(box, channel, {"subtype": "message_deleted", **fields})
    if change.kind == "joined" and "member_joined_channel" in box.subscribed:
        joined = {"type": "member_joined_channel", "channel": channel.id} | change.message
        return [joined | {"channel_type": "C", "team": box.workspace.team_id, "event_ts": channel.next_ts()}]
    if change.kind in _REACTIONS and change.previous is not None:
        return _for_reaction(box, channel, _REACTIONS[change.kind], change.message, change.previous)
    return []


def _for_reaction(
    box: Box, channel: Channel, kind: str, message: Message, given: dict[str, Any]
) -> list[dict[str, Any]]:
    if kind not in box.subscribed:
        return []
    item = {"type": "message", "channel": channel.id, "ts": message["ts"]}
    author = {"item_user": message["user"]} if message.get("user") else {}
    return [{"type": kind, **given, **author, "item": item, "event_ts": channel.next_ts()}]


def _sendable(message: Message) -> Message:
    return {key: value for key, value in message.items() if key not in _NOT_SENT}


def _mention(channel: Channel, message: Message) -> dict[str, Any]:
    kept = {key: value for key, value in _sendable(message).items() if key not in ("subtype", "reactions")}
    return kept | {"type": "app_mention", "channel": channel.id, "event_ts": message["ts"]}


def _as_message(box: Box, channel: Channel, fields: dict[str, Any]) -> list[dict[str, Any]]:
    if _MESSAGE_EVENTS.get(channel.kind) not in box.subscribed:
        return []
    ts = fields.get("ts") or channel.next_ts()
    shape = {"type": "message", "channel": channel.id, "channel_type": _CHANNEL_TYPES[channel.kind]}
    return [fields | shape | {"ts": ts, "event_ts": ts}]


def _for_post(box: Box, channel: Channel, message: Message) -> list[dict[str, Any]]:
    events = _as_message(box, channel, _sendable(message))
    is_mention = channel.kind != "im" and mentions(message.get("text", ""), box.workspace.app.user_id)
    if is_mention and "app_mention" in box.subscribed:
        events.insert(0, _mention(channel, message))
    return events


def _for_edit(box: Box, channel: Channel, message: Message, previous: Message) -> list[dict[str, Any]]:
    fields = {"hidden": True, "message": _sendable(message), "previous_message": _sendable(previous)}
    events = _as_message(box, channel, {"subtype": "message_changed", **fields})
    bot = box.workspace.app.user_id
    gained = mentions(message.get("text", ""), bot) and not mentions(previous.get("text", ""), bot)
    if gained and channel.kind != "im" and "app_mention" in box.subscribed:
        events.insert(0, _mention(channel, message))
    return events
