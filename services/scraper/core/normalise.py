"""One raw Slack message → the one normal form, whatever the source; or why it is left out.

Whose words a message holds is decided here and nowhere else (the table of subtypes in the README).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from doppel.slack.mrkdwn import to_plain
from proto.conversation import Message, WordsOf
from services.scraper.core.blocks import render_blocks
from services.scraper.core.people import parse_text, parse_user_id
from services.scraper.core.redact import strip_file_tokens
from services.scraper.core.timestamps import parse_ts, ts_key

MAX_TEXT: Final = 40_000

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
        "tombstone",
        "slackbot_response",
    ]
)


@dataclass(frozen=True)
class Said:
    """A message as it stands. `edited_ts` decides between two copies of it."""

    message: Message
    edited_ts: str = ""


@dataclass(frozen=True)
class Deleted:
    """That message is gone: none of its copies stays."""

    ts: str


@dataclass(frozen=True)
class Dropped:
    """Nobody's words, or not readable."""

    reason: str


Outcome = Said | Deleted | Dropped


def normalise(raw: Any, channel_id: str, names: Mapping[str, str]) -> Outcome:
    """Read one raw message. `names`: id → name, of users and channels."""
    if not isinstance(raw, dict):
        return Dropped("not_a_message")
    fields = cast("dict[str, Any]", raw)
    if fields.get("type", "message") != "message":
        return Dropped("not_a_message")
    match fields.get("subtype"):
        case "message_deleted":
            return _deletion(fields)
        case "message_changed":
            return _change(fields, channel_id, names)
        case _:
            return _said(fields, channel_id, names)


def _deletion(fields: dict[str, Any]) -> Outcome:
    previous = fields.get("previous_message")
    inner = cast("dict[str, Any]", previous) if isinstance(previous, dict) else dict[str, Any]()
    ts = parse_ts(fields.get("deleted_ts")) or parse_ts(inner.get("ts"))
    return Deleted(ts) if ts else Dropped("no_ts")


def _change(fields: dict[str, Any], channel_id: str, names: Mapping[str, str]) -> Outcome:
    inner = fields.get("message")
    if not isinstance(inner, dict):
        return Dropped("no_words")
    changed = cast("dict[str, Any]", inner)
    if changed.get("subtype") in ("message_changed", "message_deleted"):
        return Dropped("not_a_message")
    if changed.get("subtype") == "tombstone" and (ts := parse_ts(changed.get("ts"))):
        return Deleted(ts)
    outcome = _said(changed, channel_id, names)
    if not isinstance(outcome, Said):
        return outcome
    edited_ts = outcome.edited_ts or ts_key(parse_ts(fields.get("ts")) or outcome.message.ts)
    return Said(outcome.message.model_copy(update={"edited": True}), edited_ts)


def _said(fields: dict[str, Any], channel_id: str, names: Mapping[str, str]) -> Outcome:
    ts = parse_ts(fields.get("ts"))
    if ts is None:
        return Dropped("no_ts")
    subtype = fields.get("subtype")
    subtype = subtype if isinstance(subtype, str) and subtype else None
    if subtype in NOBODYS:
        return Dropped(subtype)
    if fields.get("hidden") is True:
        return Dropped("hidden")
    user_id, words_of = _author(fields, subtype)
    text = _text(fields, names)
    if not text.strip():
        return Dropped("no_words")
    edited = fields.get("edited")
    edited_ts = parse_ts(cast("dict[str, Any]", edited).get("ts")) if isinstance(edited, dict) else None
    message = Message(
        channel_id=channel_id,
        ts=ts,
        thread_ts=parse_ts(fields.get("thread_ts")),
        user_id=user_id,
        words_of=words_of,
        text=text,
        subtype=subtype[:80] if subtype else None,
        edited=isinstance(edited, dict),
    )
    return Said(message, ts_key(edited_ts) if edited_ts else "")


def _author(fields: dict[str, Any], subtype: str | None) -> tuple[str | None, WordsOf]:
    """Who is credited. In doubt nobody: a wrong credit would train a persona on somebody else's words."""
    user_id = parse_user_id(fields.get("user"))
    if subtype == "file_comment":
        comment = fields.get("comment")
        inner = cast("dict[str, Any]", comment) if isinstance(comment, dict) else dict[str, Any]()
        return parse_user_id(inner.get("user")), WordsOf.UNKNOWN
    from_app = bool(fields.get("bot_id") or fields.get("app_id") or fields.get("bot_profile"))
    if subtype == "bot_message" or (from_app and user_id is None):
        return None, WordsOf.APP  # `username` is free text and may be somebody's name
    if user_id == "USLACKBOT":
        return None, WordsOf.APP
    if from_app and (fields.get("bot_id") or not fields.get("client_msg_id")):
        return None, WordsOf.APP  # a person posting through an app can't be told from the app
    if subtype is not None and subtype not in PERSONS:
        return user_id, WordsOf.UNKNOWN
    return (user_id, WordsOf.PERSON) if user_id else (None, WordsOf.UNKNOWN)


def _text(fields: dict[str, Any], names: Mapping[str, str]) -> str:
    if fields.get("subtype") == "file_comment":
        comment = fields.get("comment")
        inner = cast("dict[str, Any]", comment) if isinstance(comment, dict) else dict[str, Any]()
        raw = parse_text(inner.get("comment"))
    else:
        raw = parse_text(fields.get("text")) or parse_text(render_blocks(fields.get("blocks")))
    return strip_file_tokens(to_plain(raw[:MAX_TEXT], names))[:MAX_TEXT]
