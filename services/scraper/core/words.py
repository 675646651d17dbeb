"""Whose words a raw message holds and what they are, or why it holds none. Decided here and nowhere else.

Imports nothing that a small worker process would have to carry: the contract's `Message` is made in `normalise`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import msgspec

from doppel.slack.mrkdwn import to_plain
from services.scraper.core.blocks import render_blocks
from services.scraper.core.fields import parse_text, parse_user_id, strip_file_tokens
from services.scraper.core.raw_message import RawMessage, inner, inner_message
from services.scraper.core.timestamps import parse_ts, ts_key

MAX_TEXT: Final = 40_000
_TORN: Final = re.compile(
    r"(?:&[a-z]{0,3}|<[^<>]{0,4000})$"
)  # an entity or a token that the limit cut through
MAX_SUBTYPE: Final = 80
PERSON, APP, UNKNOWN = "person", "app", "unknown"  # the values of `proto.conversation.WordsOf`

PERSONS: Final = frozenset(("thread_broadcast", "me_message", "file_share"))
NOBODYS: Final = frozenset(
    [
        "channel_join",
        "channel_leave",
        "channel_topic",
        "channel_purpose",
        "channel_name",
        "channel_archive",
        "channel_unarchive",
        "channel_convert_to_private",
        "channel_convert_to_public",
        "channel_posting_permissions",
        "channel_canvas_updated",
        "group_join",
        "group_leave",
        "group_topic",
        "group_purpose",
        "group_name",
        "group_archive",
        "group_unarchive",
        "group_open",
        "group_close",
        "pinned_item",
        "unpinned_item",
        "bot_add",
        "bot_remove",
        "bot_enable",
        "bot_disable",
        "reminder_add",
        "reminder_delete",
        "ekm_access_denied",
        "reply_broadcast",
        "joiner_notification",
        "joiner_notification_for_inviter",
        "assistant_app_thread",
        "list_record_comment",
        "huddle_thread",
        "sh_room_created",
        "slackbot_response",
    ]
)


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of a shard: the fields of `proto.conversation.Message`, defaults left out."""

    channel_id: str
    ts: str
    text: str
    thread_ts: str | None = None
    user_id: str | None = None
    words_of: str = PERSON
    subtype: str | None = None
    edited: bool = False


class Spoken(NamedTuple):
    """A message as it stands. Without text it only says that what an earlier copy said is no longer said."""

    line: Line
    edited_ts: str = ""  # a sort key; the later of two copies stays


class Gone(NamedTuple):
    """That message was deleted: none of its copies stays. `mark` is what said so."""

    ts: str
    mark: str


Finding = Spoken | Gone | str
"""A message, a deletion, or the reason why there is nothing."""


def read_message(raw: RawMessage, channel_id: str, names: Mapping[str, str]) -> Finding:
    """Read one raw message. `names`: id → name, of users and channels."""
    if raw.type not in (None, "message"):
        return "not_a_message"
    match raw.subtype:
        case "message_deleted":
            previous = inner_message(raw.previous_message) or inner_message(raw.original)
            ts = parse_ts(raw.deleted_ts) or parse_ts(previous.ts if previous else None)
            return Gone(ts, "message_deleted") if ts else "no_ts"
        case "message_changed":
            return _change(raw, channel_id, names)
        case _:
            return _said(raw, channel_id, names)


def _change(raw: RawMessage, channel_id: str, names: Mapping[str, str]) -> Finding:
    """An edit stands for the whole message from then on, also where it leaves no words."""
    changed = inner_message(raw.message)
    if changed is None:
        return "no_words"
    if changed.type not in (None, "message") or changed.subtype in ("message_changed", "message_deleted"):
        return "not_a_message"
    ts = parse_ts(changed.ts)
    if ts is None:
        return "no_ts"
    found = _said(changed, channel_id, names)
    if isinstance(found, Gone):
        return found
    line, edited_ts = (Line(channel_id, ts, ""), "") if isinstance(found, str) else found
    line.edited = True
    return Spoken(line, edited_ts or ts_key(parse_ts(raw.ts) or ts))


def _said(raw: RawMessage, channel_id: str, names: Mapping[str, str]) -> Finding:
    ts = parse_ts(raw.ts)
    if ts is None:
        return "no_ts"
    subtype = raw.subtype or None
    if subtype == "tombstone":
        return Gone(ts, "tombstone")
    if subtype in NOBODYS:
        return subtype
    if raw.hidden is True:
        return "hidden"
    user_id, words_of = _author(raw, subtype)
    text = _text(raw, subtype, names)
    edited = raw.edited is not None
    if not text and not edited:
        return "no_words"
    line = Line(
        channel_id,
        ts,
        text,
        thread_ts=parse_ts(raw.thread_ts),
        user_id=user_id,
        words_of=words_of,
        subtype=parse_text(subtype[:MAX_SUBTYPE]) if subtype else None,
        edited=edited,
    )
    edited_ts = parse_ts(raw.edited.ts) if raw.edited is not None else None
    return Spoken(line, ts_key(edited_ts) if edited_ts else "")


def _author(raw: RawMessage, subtype: str | None) -> tuple[str | None, str]:
    """Who is credited. In doubt nobody: a wrong credit would train a persona on somebody else's words."""
    if subtype == "file_comment":
        comment = _comment(raw)
        return parse_user_id(comment.get("user")), UNKNOWN
    user_id = parse_user_id(raw.user)
    from_app = bool(raw.bot_id or raw.app_id or raw.bot_profile is not None)
    if subtype == "bot_message" or (from_app and user_id is None):
        return None, APP  # `username` is free text and may be somebody's name
    if user_id == "USLACKBOT":
        return None, APP
    if from_app and (raw.bot_id or not raw.client_msg_id):
        return None, APP  # a person posting through an app can't be told from the app
    if subtype is not None and subtype not in PERSONS:
        return user_id, UNKNOWN
    return (user_id, PERSON) if user_id else (None, UNKNOWN)


def _comment(raw: RawMessage) -> dict[str, Any]:
    found = inner(raw.comment)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _text(raw: RawMessage, subtype: str | None, names: Mapping[str, str]) -> str:
    """What a reader sees; empty where that is nothing but space."""
    if subtype == "file_comment":
        text = parse_text(_comment(raw).get("comment"))
    else:
        text = parse_text(raw.text)
        if not text or text.isspace():
            text = parse_text(render_blocks(inner(raw.blocks)))
    if len(text) > MAX_TEXT:
        text = _TORN.sub("", text[:MAX_TEXT])
    if "<" in text or "&" in text:
        text = to_plain(text, names)[:MAX_TEXT]
    text = strip_file_tokens(text)
    return "" if text.isspace() else text
