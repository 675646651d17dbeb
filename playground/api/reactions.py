"""reactions.*, of messages"""

from typing import Any

from playground.api.call import Answer, ApiError, Call
from playground.api.chat import writable
from playground.channel import Channel
from playground.model import Message


def _on(call: Call) -> tuple[Channel, Message]:
    channel = writable(call)
    (ts,) = call.required("timestamp")
    message = channel.get(ts)
    if message is None:
        raise ApiError("message_not_found")
    return channel, message


def _name(call: Call) -> str:
    (name,) = call.required("name")
    return name.strip(":")


def add(call: Call) -> Answer:
    """reactions.add"""
    channel, message = _on(call)
    if not call.workspace.react(channel, message["ts"], call.workspace.app.user_id, _name(call)):
        raise ApiError("already_reacted")
    return {}


def remove(call: Call) -> Answer:
    """reactions.remove: one's own."""
    channel, message = _on(call)
    if not call.workspace.unreact(channel, message["ts"], call.workspace.app.user_id, _name(call)):
        raise ApiError("no_reaction")
    return {}


def get(call: Call) -> Answer:
    """reactions.get: the message with its reactions."""
    channel, message = _on(call)
    shown: dict[str, Any] = {key: value for key, value in message.items() if key != "metadata"}
    return {"type": "message", "channel": channel.id, "message": shown}


METHODS = {"reactions.add": add, "reactions.remove": remove, "reactions.get": get}
