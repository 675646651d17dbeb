"""chat.startStream, chat.appendStream, chat.stopStream; assistant.threads.setStatus"""

import time
from typing import Any, cast

from playground.api.call import Answer, ApiError, Call
from playground.api.chat import checked_blocks, content_of_stream, message_of_app, metadata_of, writable
from playground.channel import Channel
from playground.model import Message, Stream

MARKDOWN_LIMIT = 12_000


def _text(call: Call, *, needed: bool) -> str:
    """What is to be shown: markdown_text, or the texts of chunks."""
    text, chunks = call.text("markdown_text"), call.nested("chunks")
    if text is not None and chunks:
        raise ApiError("markdown_text_conflict")
    if isinstance(chunks, list):
        known = [cast("dict[str, Any]", each) for each in cast("list[Any]", chunks) if isinstance(each, dict)]
        text = "".join(str(each.get("text") or "") for each in known if each.get("type") == "markdown_text")
    if text is None and needed:
        call.required("markdown_text")
    if len(text or "") > MARKDOWN_LIMIT:
        raise ApiError("msg_too_long")
    return text or ""


def start(call: Call) -> Answer:
    """chat.startStream: in a thread, for somebody; the name and picture given here stay."""
    channel = writable(call)
    (thread_ts,) = call.required("thread_ts")
    if channel.get(thread_ts) is None and not channel.replies(thread_ts):
        raise ApiError("thread_not_found")
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if call.text(name) is None:
                raise ApiError(f"missing_{name}")
    app = call.workspace.app
    message = message_of_app(call, content_of_stream(_text(call, needed=False))) | {"user": app.user_id}
    if username := call.text("username"):
        message |= {"subtype": "bot_message", "username": username[:80]}
        message.pop("user")
    if icon_url := call.text("icon_url"):
        message["icons"] = {"image_48": icon_url}
    posted = call.workspace.post(channel, message, thread_ts=thread_ts)
    call.workspace.streams[channel.id, posted["ts"]] = Stream(time.monotonic())
    return {"channel": channel.id, "ts": posted["ts"]}


def _live(call: Call) -> tuple[Channel, Message, Stream]:
    channel = writable(call)
    (ts,) = call.required("ts")
    message = channel.get(ts)
    if message is None:
        raise ApiError("message_not_found")
    stream = call.workspace.streams.get((channel.id, ts))
    if stream is None or not stream.is_live(call.box.settings.stream_life_s):
        raise ApiError("message_not_in_streaming_state")
    if stream.stopped_by_user:
        raise ApiError("stopped_by_user")
    return channel, message, stream


def append(call: Call) -> Answer:
    """chat.appendStream: more text; after too long a pause there is nothing to append to."""
    channel, message, stream = _live(call)
    text = _text(call, needed=True)
    stream.at = time.monotonic()
    call.workspace.change(channel, message["ts"], content_of_stream(message["text"] + text), edited_by=None)
    return {"channel": channel.id, "ts": message["ts"]}


def stop(call: Call) -> Answer:
    """chat.stopStream: the last text, blocks below it, and, only here, metadata."""
    channel, message, _ = _live(call)
    fields = content_of_stream(message["text"] + _text(call, needed=False))
    if (blocks := checked_blocks(call.nested("blocks"))) is not None:
        fields["blocks"] = [*fields["blocks"], *blocks]
    if (metadata := metadata_of(call)) is not None:
        fields["metadata"] = metadata
    del call.workspace.streams[channel.id, message["ts"]]
    changed = call.workspace.change(channel, message["ts"], fields, edited_by=None)
    return {"channel": channel.id, "ts": message["ts"], "message": changed}


def set_status(call: Call) -> Answer:
    """assistant.threads.setStatus: shown in a thread until the app's next message there; empty takes it away."""
    channel = writable(call, "channel_id")
    (thread_ts,) = call.required("thread_ts")
    if "status" not in call.arguments:
        call.required("status")
    if channel.get(thread_ts) is None:
        raise ApiError("thread_not_found")
    call.workspace.set_status(channel, thread_ts, call.text("status"), call.text("username"))
    return {}


METHODS = {
    "chat.startStream": start,
    "chat.appendStream": append,
    "chat.stopStream": stop,
    "assistant.threads.setStatus": set_status,
}
