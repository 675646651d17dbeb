"""chat.*"""

import json
from collections.abc import Mapping
from typing import Any, cast

from playground.api.call import Answer, ApiError, Call
from playground.channel import Channel
from playground.model import Message

TEXT_CUT = 40_000
UPDATE_TEXT_LIMIT = 4_000
BLOCKS_LIMIT = 50
SECTION_LIMIT = 3_000
METADATA_LIMIT = 8_000


def writable(call: Call, name: str = "channel") -> Channel:
    """The channel or DM that the bot may write to."""
    (named,) = call.required(name)
    user = call.workspace.users.get(named)
    if user is not None and not user.get("is_bot") and not user.get("deleted"):
        return call.workspace.open_dm(named)
    channel = call.workspace.channels.get(named) or call.workspace.channels.get(
        call.workspace.channel_names().get(named.removeprefix("#"), "")
    )
    if channel is None or (channel.kind != "public" and not call.is_member(channel)):
        raise ApiError("channel_not_found")
    if channel.is_archived:
        raise ApiError("is_archived")
    if not call.is_member(channel):
        raise ApiError("not_in_channel")
    return channel


# Which elements a block may have, and how many.
_ELEMENTS: dict[str, tuple[frozenset[str] | None, int]] = {
    "actions": (None, 25),
    "context_actions": (frozenset({"feedback_buttons", "icon_button"}), 5),
}
LABEL_LIMIT, VALUE_LIMIT, ACTION_ID_LIMIT = 75, 2_000, 255


def _check_elements(block: dict[str, Any]) -> None:
    """Buttons within Slack's limits. Raises ApiError."""
    kinds, most = _ELEMENTS[block["type"]]
    elements: Any = block.get("elements")
    if not isinstance(elements, list) or not 0 < len(cast("list[Any]", elements)) <= most:
        raise ApiError("invalid_blocks")
    for element in cast("list[Any]", elements):
        if not isinstance(element, dict):
            raise ApiError("invalid_blocks")
        known = cast("dict[str, Any]", element)
        if kinds is not None and known.get("type") not in kinds:
            raise ApiError("invalid_blocks")
        sides = [known, known.get("positive_button") or {}, known.get("negative_button") or {}]
        labels = [str((each.get("text") or {}).get("text", "")) for each in sides]
        if (
            max(map(len, labels)) > LABEL_LIMIT
            or any(len(str(each.get("value") or "")) > VALUE_LIMIT for each in sides)
            or len(str(known.get("action_id") or "")) > ACTION_ID_LIMIT
        ):
            raise ApiError("invalid_blocks")


def checked_blocks(blocks: Any) -> list[dict[str, Any]] | None:
    """Blocks within Slack's limits, None where there are none."""
    if blocks in (None, [], ""):
        return None
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    checked: list[dict[str, Any]] = []
    for number, block in enumerate(cast("list[Any]", blocks), start=1):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise ApiError("invalid_blocks")
        copied = cast("dict[str, Any]", dict(block))
        text: Any = copied.get("text")
        if copied["type"] == "section" and isinstance(text, dict):
            length = len(str(cast("dict[str, Any]", text).get("text", "")))
            if not 0 < length <= SECTION_LIMIT:
                raise ApiError("invalid_blocks")
        if copied["type"] in _ELEMENTS:
            _check_elements(copied)
        copied.setdefault("block_id", f"b{number}")
        checked.append(copied)
    if len(checked) > BLOCKS_LIMIT:
        raise ApiError("invalid_blocks")
    return checked


def metadata_of(call: Call) -> dict[str, Any] | None:
    """The metadata given, within Slack's limits. Raises ApiError."""
    metadata = call.nested("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise ApiError("invalid_metadata_format")
    known = cast("dict[str, Any]", metadata)
    if not isinstance(known.get("event_payload", {}), dict):
        raise ApiError("invalid_metadata_format")
    if len(json.dumps(known)) > METADATA_LIMIT:
        raise ApiError("metadata_too_large")
    return {"event_type": known["event_type"], "event_payload": known.get("event_payload", {})}


def content_of_stream(text: str) -> Message:
    """What a streamed message shows: standard Markdown, as a block."""
    return {"text": text, "blocks": [{"type": "markdown", "block_id": "stream", "text": text}]}


def _content(call: Call) -> Message:
    """Text and blocks of a new message."""
    blocks = checked_blocks(call.nested("blocks"))
    text = call.text("text") or call.text("markdown_text") or ""
    if not text and blocks is None and not call.nested("attachments"):
        raise ApiError("no_text")
    content: Message = {"text": text[:TEXT_CUT]}
    return content if blocks is None else content | {"blocks": blocks}


def bot_profile(call: Call) -> dict[str, Any]:
    """Who the app is, as each of its messages says."""
    app = call.workspace.app
    return {
        "id": app.bot_id,
        "deleted": False,
        "name": app.name,
        "updated": 1_700_000_000,
        "app_id": app.app_id,
        "user_id": app.user_id,
        "icons": {},
        "team_id": call.workspace.team_id,
    }


def message_of_app(call: Call, content: Mapping[str, Any]) -> Message:
    """A message by the app that calls, without the name it stands under."""
    app = call.workspace.app
    return {
        "type": "message",
        **content,
        "bot_id": app.bot_id,
        "app_id": app.app_id,
        "team": call.workspace.team_id,
        "bot_profile": bot_profile(call),
    }


def post_message(call: Call) -> Answer:
    """chat.postMessage: under the app's name, or the name and picture given (then a bot_message without a user)."""
    channel = writable(call)
    app = call.workspace.app
    message = message_of_app(call, _content(call))
    username, icon_url, icon_emoji = (call.text(name) for name in ("username", "icon_url", "icon_emoji"))
    if username or icon_url or icon_emoji:
        message["subtype"] = "bot_message"
        message["username"] = (username or app.name)[:80]
        if icon_url:
            message["icons"] = {"image_36": icon_url, "image_48": icon_url, "image_72": icon_url}
        elif icon_emoji:
            message["icons"] = {"emoji": icon_emoji}
    else:
        message["user"] = app.user_id
    if (metadata := metadata_of(call)) is not None:
        message["metadata"] = metadata
    thread_ts = call.text("thread_ts")
    if thread_ts is not None:
        root = channel.get(thread_ts)
        if root is None and not channel.replies(thread_ts):
            raise ApiError("thread_not_found")
        if root is not None and channel.is_reply(root):
            raise ApiError("cannot_reply_to_message")
        if call.flag("reply_broadcast"):
            message["subtype"] = message.get("subtype", "thread_broadcast")
    posted = call.workspace.post(channel, message, thread_ts=thread_ts)
    return {"channel": channel.id, "ts": posted["ts"], "message": posted}


def _own(call: Call, code: str) -> tuple[Channel, Message]:
    channel = writable(call)
    (ts,) = call.required("ts")
    message = channel.get(ts)
    if message is None or message.get("subtype") == "tombstone":
        raise ApiError("message_not_found")
    if message.get("bot_id") != call.workspace.app.bot_id:
        raise ApiError(code)
    return channel, message


def update(call: Call) -> Answer:
    """chat.update: not while it is streamed; text without blocks removes them; metadata and identity stay."""
    channel, message = _own(call, "cant_update_message")
    stream = call.workspace.streams.get((channel.id, message["ts"]))
    if stream is not None and stream.is_live(call.box.settings.stream_life_s) and not stream.stopped_by_user:
        raise ApiError("streaming_state_conflict")
    content = _content(call)
    if len(content["text"]) > UPDATE_TEXT_LIMIT:
        raise ApiError("msg_too_long")
    fields: Message = {"text": content["text"], "blocks": content.get("blocks")}
    if (metadata := metadata_of(call)) is not None:
        fields["metadata"] = metadata
    edited_by = None if "blocks" in content else call.workspace.app.user_id
    changed = call.workspace.change(channel, message["ts"], fields, edited_by=edited_by)
    return {"channel": channel.id, "ts": message["ts"], "text": changed["text"], "message": changed}


def delete(call: Call) -> Answer:
    """chat.delete"""
    channel, message = _own(call, "cant_delete_message")
    call.workspace.delete(channel, message["ts"])
    return {"channel": channel.id, "ts": message["ts"]}


def post_ephemeral(call: Call) -> Answer:
    """chat.postEphemeral"""
    channel = writable(call)
    user = call.user()
    if user["id"] not in channel.members:
        raise ApiError("user_not_in_channel")
    app = call.workspace.app
    content = _content(call) | {"bot_id": app.bot_id, "app_id": app.app_id, "bot_profile": bot_profile(call)}
    for name in ("thread_ts", "username"):
        if (value := call.text(name)) is not None:
            content[name] = value
    if icon_url := call.text("icon_url"):
        content["icons"] = {"image_48": icon_url}
    row = call.workspace.show_ephemeral(channel, user["id"], content)
    return {"message_ts": row["ts"]}


METHODS = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.delete": delete,
    "chat.postEphemeral": post_ephemeral,
}
