"""Messages of a made-up export, each made together with what must become of it.

Every message carries a word of its own, its marker, so that a word found anywhere can be traced to where it came from.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from tests.support.exports.story import Room, write_ts
from tests.support.exports.words import TOKEN, blocks, text

NOTICES: Final = [
    *(f"channel_{what}" for what in ["join", "leave", "topic", "purpose", "name", "archive", "unarchive"]),
    *("channel_convert_to_private", "channel_posting_permissions", "channel_canvas_updated"),
    *(f"group_{what}" for what in ["join", "leave", "topic", "purpose", "name", "archive", "unarchive"]),
    *("pinned_item", "unpinned_item", "bot_add", "bot_remove", "bot_enable", "bot_disable"),
    *("reminder_add", "reminder_delete", "ekm_access_denied", "reply_broadcast", "joiner_notification"),
    *("joiner_notification_for_inviter", "assistant_app_thread", "list_record_comment"),
    *("huddle_thread", "sh_room_created", "tombstone", "slackbot_response"),
]
JUNK: Final[list[Any]] = [
    *(None, 7, "a string", [], [[]], {}, True, {"ts": None}, {"type": "message"}, {"ts": [], "user": {}}),
    {"type": "message", "ts": "not a ts", "text": "x"},
    {"subtype": "message_changed"},
    {"subtype": "message_changed", "message": None},
    {"subtype": "message_deleted"},
    {"subtype": "message_deleted", "deleted_ts": None, "previous_message": []},
]


def _noise(room: Room) -> dict[str, Any]:
    """Fields that change nothing: somebody else's words, links with tokens, what newer clients add."""
    rng = room.rng
    share = {"is_share": True, "is_msg_unfurl": True, "author_id": "U0MEMBER0"}
    other = room.users[0].user_id
    found = [
        {"client_msg_id": "b2e6b0d2-5c3e-4e0c-8f0e-1f1f1f1f1f1f"},
        {"team": "T0HOME", "user_team": "T0OTHER", "source_team": "T0OTHER"},
        {"user_profile": {"real_name": room.marker("a profile"), "display_name": None, "team": "T0OTHER"}},
        {"reactions": [{"name": "clap::skin-tone-2", "users": [other, "U00"], "count": 1e3}]},
        {"reactions": None, "attachments": None, "files": None, "blocks": None, "edited": None},
        {"attachments": [share | {"text": room.marker("forwarded"), "fallback": room.marker("forwarded")}]},
        {
            "files": [
                {"mode": "tombstone"},
                {"name": room.marker("a file"), "url_private": f"x?t={TOKEN}"},
                None,
            ]
        },
        {"upload": False, "hidden": False, "is_locked": False, "subscribed": 1, "last_read": 5},
        {"bot_id": None, "app_id": None, "bot_profile": None, "username": None, "icons": None},
        {"app_id": "A0CLIENT", "client_msg_id": "b2e6b0d2"},
        {
            "subtype": None,
            "metadata": {"event_type": "x", "event_payload": {"text": room.marker("metadata")}},
        },
        {"original": {"text": room.marker("an old version"), "user": other}},
        {"parent_user_id": None, "reply_count": 2.5, "replies": [{"user": other, "ts": "1"}, None]},
        {"room": {"created_by": other}, "user": None, "ts": "5", "text": room.marker("overridden")},
        {"edited": "yes", "comment": {"user": other, "comment": room.marker("a comment")}},
        {"deep": _nested(60), "big": 10**30, "exponent": 1e300},
    ]
    noise: dict[str, Any] = {}
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        noise |= rng.choice(found)
    return noise


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = {"elements": [value]}
    return value


def _plain(room: Room, **fields: Any) -> dict[str, Any]:
    """A human's message and what must become of it."""
    rng, user = room.rng, room.human()
    ts, marker = fields.pop("at", "") or room.next_ts(), room.marker()
    row = {"type": "message"} | _noise(room)
    if rng.random() < 0.15:
        row.pop("type")
    elif rng.random() < 0.05:
        row["type"] = None
    row |= {"user": user.user_id, "ts": write_ts(rng, ts)}
    if rng.random() < 0.2:
        row["blocks"], seen = blocks(rng, room.names, marker)
        row["text"] = rng.choice(("", None))
        if rng.random() < 0.2:
            row.pop("text")
    else:
        row["text"], seen = text(rng, room.names, marker)
        if rng.random() < 0.2:
            row["blocks"], _ = blocks(rng, room.names, room.marker("blocks beside a text"))
    thread_ts = fields.get("thread_ts")
    row |= fields
    if thread_ts:
        row["thread_ts"] = write_ts(rng, thread_ts)
    room.expect(ts, user.user_id, seen, thread_ts=thread_ts, edited=isinstance(row.get("edited"), dict))
    return row


def _root(room: Room) -> None:
    ts = room.next_ts()
    room.roots.append(ts)
    row = _plain(room, at=ts, thread_ts=ts)
    row |= {"reply_count": 1, "reply_users": ["U00"], "latest_reply": "9999999999.000000"}
    room.rows.append(row)


def _reply(room: Room) -> None:
    rng = room.rng
    root = rng.choice(room.roots) if room.roots and rng.random() < 0.8 else "1300000000.000100"
    fields: dict[str, Any] = {"thread_ts": root}
    if rng.random() < 0.3:
        copy = {"user": room.users[1].user_id, "text": room.marker("a root's copy"), "ts": root}
        fields |= {"subtype": "thread_broadcast", "root": copy}
    room.rows.append(_plain(room, **fields))


def _edited(room: Room) -> None:
    row = _plain(room, edited={"user": "U0MEMBER0", "ts": "1690000000.000000"})
    room.rows.append(row)
    if room.roots and room.rng.random() < 0.3:  # the newer copy does not know its thread, the older one does
        thread_ts = room.rng.choice(room.roots)
        room.truth.expected[-1] = replace(room.truth.expected[-1], thread_ts=thread_ts)
        old = {key: value for key, value in row.items() if key not in ("edited", "blocks")}
        room.rows.append(old | {"text": room.marker("superseded"), "thread_ts": thread_ts})
    if room.rng.random() < 0.6:  # an older export holds the older words
        old = {key: value for key, value in row.items() if key not in ("edited", "blocks")}
        room.rows.append(old | {"text": room.marker("superseded")})


def _changed(room: Room) -> None:
    """Rows of a corporate export: what was said, and that it changed."""
    rng = room.rng
    new = _plain(room, edited={"user": "U0MEMBER0", "ts": "1690000005.000000"})
    old = {key: value for key, value in new.items() if key not in ("edited", "blocks")}
    old["text"] = room.marker("superseded")
    between = old | {"text": room.marker("superseded"), "edited": {"user": "U00", "ts": "1690000001.000000"}}
    row: dict[str, Any] = {
        "type": "message",
        "subtype": "message_changed",
        "ts": room.next_ts(),
        "hidden": True,
    }
    row |= {rng.choice(("previous_message", "original")): old, "message": new}
    room.rows.append(row)
    if rng.random() < 0.6:
        room.rows.append(old)
    if rng.random() < 0.3:
        room.rows.append(row | {"message": between, "ts": room.next_ts()})


def _deleted(room: Room) -> None:
    ts = room.next_ts()
    gone = {"type": "message", "user": room.human().user_id, "ts": write_ts(room.rng, ts)}
    gone["text"] = room.marker("deleted")
    rows: list[Any] = []
    if room.rng.random() < 0.8:
        rows.append(gone)
    if room.rng.random() < 0.3:
        new = gone | {"text": room.marker("deleted"), "edited": {"user": "U00", "ts": "1690000000.000000"}}
        rows.append(
            {"subtype": "message_changed", "ts": room.next_ts(), "message": new, "previous_message": gone}
        )
    row: dict[str, Any] = {
        "type": "message",
        "subtype": "message_deleted",
        "ts": room.next_ts(),
        "hidden": True,
    }
    match room.rng.randrange(4):
        case 0:
            row |= {"deleted_ts": ts, "previous_message": gone}
        case 1:
            row |= {"deleted_ts": write_ts(room.rng, ts)}
        case 2:
            row |= {"previous_message": gone}
        case _:
            row |= {"original": gone}
    if room.rng.random() < 0.2:  # deleted, but it had replies
        row = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "hidden": True}
        row |= {"text": "This message was deleted.", "ts": ts, "thread_ts": ts, "reply_count": 1}
        room.roots.append(ts)
    room.rows += [*rows, row]


def _notice(room: Room) -> None:
    row = {"type": "message", "subtype": room.rng.choice(NOTICES), "user": room.human().user_id}
    room.rows.append(row | {"text": room.marker("a notice"), "ts": write_ts(room.rng, room.next_ts())})


def _app(room: Room) -> None:
    """An app's words, under a name that may be a person's."""
    rng, ts, marker = room.rng, room.next_ts(), room.marker()
    name = rng.choice([user.name for user in room.users])
    user_id = room.human().user_id
    row = {"type": "message", "ts": write_ts(rng, ts), "text": marker, "username": name} | rng.choice(
        (
            {"subtype": "bot_message", "bot_id": "B0X"},
            {"subtype": "bot_message", "bot_id": "B0X", "user": None, "icons": {"emoji": ":x:"}},
            {"subtype": "bot_message", "user": user_id},
            {"bot_id": "B0X", "user": user_id, "app_id": "A0X", "bot_profile": {"name": name}},
            {"bot_id": "B0X"},
            {"app_id": "A0X", "user": user_id},
            {"bot_id": "B0X", "user": ""},
            {"user": "USLACKBOT"},
            {"subtype": "me_message", "user": user_id, "bot_id": "B0X"},
            {"subtype": "file_share", "user": user_id, "bot_id": "B0X", "app_id": "A0X"},
        )
    )
    is_slackbot = row.get("user") == "USLACKBOT"
    room.expect(ts, None, re.escape(marker), is_person=False, is_needed=not is_slackbot)
    room.rows.append(row)


def _doubtful(room: Room) -> None:
    """Whose words these are nobody can say: they may be context, and nobody else's."""
    ts, marker, user_id = room.next_ts(), room.marker(), room.human().user_id
    fields: dict[str, Any] = room.rng.choice(
        (
            {"user": user_id, "subtype": "from_the_future"},
            {"user": user_id, "subtype": "file_mention"},
            {"user": None},
            {"user": ["U0MEMBER0"]},
            {"user": "u0member0"},
            {"user": "Ada"},
            {},
        )
    )
    row = {"type": "message", "text": marker, "ts": write_ts(room.rng, ts)} | fields
    authors = frozenset({None, user_id if row.get("user") == user_id else None})
    room.expect(ts, None, re.escape(marker), authors=authors, is_person=False, is_needed=False)
    room.rows.append(row)


def _posting_app(room: Room) -> None:
    """A person through an app with a client's mark: theirs, or doubtful; never another's."""
    ts, marker, user_id = room.next_ts(), room.marker(), room.human().user_id
    row = {
        "user": user_id,
        "bot_id": "B0X",
        "client_msg_id": "x",
        "text": marker,
        "ts": ts,
        "type": "message",
    }
    room.expect(
        ts, None, re.escape(marker), authors=frozenset({user_id, None}), is_person=None, is_needed=False
    )
    room.rows.append(row)


def _file_comment(room: Room) -> None:
    ts, marker, author = room.next_ts(), room.marker(), room.human().user_id
    row = {"type": "message", "subtype": "file_comment", "user": room.users[0].user_id, "ts": ts}
    row |= {"text": room.marker("a notice"), "comment": {"user": author, "comment": marker, "id": "Fc1"}}
    more: dict[str, Any] = {"is_person": False, "is_needed": False, "authors": frozenset({author, None})}
    room.expect(ts, author, re.escape(marker), **more)
    room.rows.append(row)


def _wordless(room: Room) -> None:
    row: dict[str, Any] = {"type": "message", "user": room.human().user_id, "ts": room.next_ts()}
    room.rows.append(
        row
        | room.rng.choice(
            (
                {"text": ""},
                {"text": None, "blocks": None},
                {"text": {"words": "x"}},
                {"text": 5, "subtype": "file_share", "files": [{"id": "F1"}]},
                {"text": "", "attachments": [{"is_share": True, "text": room.marker("forwarded")}]},
                {"text": " \n", "blocks": "none"},
            )
        )
    )


def _conflict(room: Room) -> None:
    """Two exports disagree and nothing says which is newer: either, but always the same one."""
    row = _plain(room)
    other = row | {"text": room.marker()}
    room.truth.expected[-1] = replace(
        room.truth.expected[-1], pattern=f"(?:{room.truth.expected[-1].pattern}|{other['text']})"
    )
    room.rows += [row, other]


def _own_kind(room: Room) -> None:
    room.rows.append(_plain(room, subtype=room.rng.choice(("me_message", "file_share", "thread_broadcast"))))


def _junk(room: Room) -> None:
    room.rows.append(room.rng.choice(JUNK))


def _just_said(room: Room) -> None:
    room.rows.append(_plain(room))


KINDS: Final[list[Callable[[Room], None]]] = [
    *(
        [_just_said] * 4
        + [_root] * 2
        + [_reply] * 3
        + [_own_kind] * 2
        + [_edited] * 2
        + [_changed, _deleted] * 2
    ),
    *(_conflict, _notice, _app, _app, _doubtful, _posting_app, _file_comment, _wordless, _junk),
]
