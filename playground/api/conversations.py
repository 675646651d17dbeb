"""conversations.*"""

from typing import Any

from playground.api.call import SCOPES, Answer, ApiError, Call, next_cursor, page_of
from playground.channel import Channel, ts_of, us_of
from playground.model import Message

_NEEDED = {"private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"}


def conversation(channel: Channel, bot_user_id: str) -> Answer:
    """The channel object."""
    is_im = channel.kind == "im"
    shape: Answer = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.is_archived,
        "is_im": is_im,
        "is_org_shared": False,
    }
    if is_im:
        peers = [member for member in channel.members if member != bot_user_id]
        return shape | {"user": peers[0], "is_user_deleted": False, "priority": 0, "is_open": True}
    is_private = channel.kind == "private"
    return shape | {
        "name": channel.name,
        "is_channel": not is_private,
        "is_group": is_private,
        "is_mpim": False,
        "is_private": is_private,
        "is_general": channel.is_general,
        "unlinked": 0,
        "name_normalized": channel.name,
        "is_shared": False,
        "is_ext_shared": False,
        "is_pending_ext_shared": False,
        "pending_shared": [],
        "creator": channel.creator,
        "is_member": bot_user_id in channel.members,
        "topic": {"value": channel.topic, "creator": channel.creator, "last_set": channel.created},
        "purpose": {"value": channel.purpose, "creator": channel.creator, "last_set": channel.created},
        "previous_names": [],
        "num_members": len(channel.members),
    }


def list_(call: Call) -> Answer:
    """conversations.list"""
    types = set((call.text("types") or "public_channel").replace(" ", "").split(","))
    if unknown := types - {"public_channel", *_NEEDED}:
        raise ApiError("invalid_types", response_metadata={"messages": sorted(unknown)})
    for kind, scope in _NEEDED.items():
        if kind in types:
            raise ApiError("missing_scope", needed=scope, provided=SCOPES)
    without_archived = call.flag("exclude_archived")
    channels = sorted(
        (
            each
            for each in call.workspace.channels.values()
            if each.kind == "public" and not (without_archived and each.is_archived)
        ),
        key=lambda each: each.id,
    )
    page, cursor = page_of(call, channels, kind="channel", key=lambda each: each.id, default=100, most=999)
    shown = [conversation(each, call.workspace.app.user_id) for each in page]
    return {"channels": shown, "response_metadata": {"next_cursor": cursor}}


def info(call: Call) -> Answer:
    """conversations.info"""
    channel = call.channel()
    shown = conversation(channel, call.workspace.app.user_id)
    if not call.flag("include_num_members"):
        shown.pop("num_members", None)
    return {"channel": shown}


def members(call: Call) -> Answer:
    """conversations.members"""
    people = sorted(call.channel().members)
    page, cursor = page_of(call, people, kind="member", key=str, default=100, most=999)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def join(call: Call) -> Answer:
    """conversations.join"""
    channel = call.channel()
    if channel.kind != "public":
        raise ApiError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise ApiError("is_archived")
    answer: Answer = {}
    if not call.workspace.join(channel, call.workspace.app.user_id):
        answer = {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
    return {"channel": conversation(channel, call.workspace.app.user_id)} | answer


def open_(call: Call) -> Answer:
    """conversations.open: one person's DM with the bot."""
    if (channel_id := call.text("channel")) is not None:
        channel = call.workspace.channels.get(channel_id)
        if channel is None or channel.kind != "im" or not call.is_member(channel):
            raise ApiError("channel_not_found")
        return {"no_op": True, "already_open": True, "channel": {"id": channel.id}}
    named = call.arguments.get("users")
    user_ids = [str(each) for each in named] if isinstance(named, list) else str(named or "").split(",")
    user_ids = [each.strip() for each in user_ids if each.strip()]
    if not user_ids:
        raise ApiError("users_list_not_supplied")
    if len(user_ids) > 1:
        raise ApiError("missing_scope", needed="mpim:write", provided=SCOPES)
    user = call.workspace.users.get(user_ids[0])
    if user is None:
        raise ApiError("user_not_found")
    if user.get("deleted"):
        raise ApiError("user_disabled")
    if user.get("is_bot") or user["id"] == "USLACKBOT":
        raise ApiError("cannot_dm_bot")
    already = call.workspace.dm_of(user["id"]) is not None
    channel = call.workspace.open_dm(user["id"])
    answer: Answer = {"no_op": True, "already_open": True} if already else {}
    wanted = (
        conversation(channel, call.workspace.app.user_id) if call.flag("return_im") else {"id": channel.id}
    )
    return answer | {"channel": wanted}


def _readable(call: Call) -> Channel:
    channel = call.channel()
    if not call.is_member(channel):
        raise ApiError("not_in_channel")
    if channel.kind == "private":
        raise ApiError("missing_scope", needed="groups:history", provided=SCOPES)
    return channel


def _window(call: Call) -> tuple[str, str, bool]:
    """(oldest, latest, inclusive) in comparable form."""
    try:
        oldest = ts_of(us_of(call.text("oldest", "0") or "0"))
        latest = ts_of(us_of(call.text("latest", "9999999999.999999") or "9999999999.999999"))
    except ValueError:
        raise ApiError("invalid_ts_latest") from None
    return oldest, latest, call.flag("inclusive")


def _inside(ts: str, window: tuple[str, str, bool]) -> bool:
    oldest, latest, inclusive = window
    return oldest <= ts <= latest if inclusive else oldest < ts < latest


def _shown(call: Call, message: Message) -> Message:
    """Without the event_payload where the caller did not ask for it."""
    if "metadata" not in message or call.flag("include_all_metadata"):
        return message
    return {key: value for key, value in message.items() if key != "metadata"}


def history(call: Call) -> Answer:
    """conversations.history: newest first, no replies but broadcasts."""
    channel = _readable(call)
    window = _window(call)
    most = call.box.limits.page_limit("conversations.history")
    limit = call.number("limit", default=most or 100, most=most or 999)
    before = call.cursor("next_ts")
    found: list[Message] = []
    for message in channel.top_level():
        if before is not None and message["ts"] >= before:
            continue
        if message["ts"] < window[0]:
            break
        if _inside(message["ts"], window):
            found.append(message)
            if len(found) > limit:
                break
    page = found[:limit]
    answer: Answer = {
        "messages": [_shown(call, message) for message in page],
        "has_more": len(found) > limit,
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    if len(found) > limit:
        answer["response_metadata"] = {"next_cursor": next_cursor("next_ts", page[-1]["ts"])}
    return answer


def replies(call: Call) -> Answer:
    """conversations.replies: the root first on every page, then replies, oldest first."""
    channel = _readable(call)
    (ts,) = call.required("ts")
    root = channel.get(ts)
    if root is None and not channel.replies(ts):
        raise ApiError("thread_not_found")
    if root is not None and channel.is_reply(root):
        return {"messages": [_shown(call, root)], "has_more": False}
    window = _window(call)
    after = call.cursor("next_ts")
    most = call.box.limits.page_limit("conversations.replies") or 1000
    limit = call.number("limit", default=most, most=most)
    found: list[Any] = [
        message
        for message in channel.replies(ts)
        if _inside(message["ts"], window) and (after is None or message["ts"] > after)
    ]
    room = max(limit - 1, 1) if root is not None else limit
    page = found[:room]
    answer: Answer = {
        "messages": [_shown(call, message) for message in ([root] if root is not None else []) + page],
        "has_more": len(found) > room,
    }
    if len(found) > room:
        answer["response_metadata"] = {"next_cursor": next_cursor("next_ts", page[-1]["ts"])}
    return answer


METHODS = {
    "conversations.list": list_,
    "conversations.info": info,
    "conversations.members": members,
    "conversations.join": join,
    "conversations.open": open_,
    "conversations.history": history,
    "conversations.replies": replies,
}
