"""A raw Slack message, with the fields that are read of it.

Most come as they should and are decoded straight into the struct; what is odd (a number as text, null as list) goes
through `RawMessage.of`, which reads the same fields out of any JSON. Both give the same struct, or a struct that
means the same: who reads it can't tell them apart.
"""

from typing import Any, Final, cast

import msgspec

from services.scraper.core.fields import parse_text
from services.scraper.core.json_array import BadArray, ElementTooLong, array_elements
from services.scraper.core.timestamps import parse_ts

NOTHING: Final = msgspec.Raw(b"null")
SURELY_FEW_BYTES: Final = 256 * 1024
MOST_OBJECTS: Final = 100_000  # held at once: in three bytes each, a small file has more than fit into memory
INNER_CHARACTERS: Final = 16 * 1024 * 1024


class Edited(msgspec.Struct, gc=False):
    """When a message was last edited."""

    ts: str | None = None


class Present(msgspec.Struct, gc=False):
    """An object of which only matters that it is there."""


class RawMessage(msgspec.Struct, gc=False):
    """One element of a day file, of ``conversations.history`` or ``conversations.replies``.

    What is rarely looked at stays undecoded (`msgspec.Raw`), or is any JSON where `of` made it: see `inner`.
    """

    type: str | None = "message"
    subtype: str | None = None
    user: str | None = None
    text: str | None = None
    ts: str | None = None
    thread_ts: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    bot_profile: Present | None = None
    client_msg_id: str | None = None
    edited: Edited | None = None
    hidden: bool | None = None
    blocks: msgspec.Raw = NOTHING
    user_profile: msgspec.Raw = NOTHING
    message: msgspec.Raw = NOTHING
    previous_message: msgspec.Raw = NOTHING
    original: msgspec.Raw = NOTHING
    comment: msgspec.Raw = NOTHING
    deleted_ts: str | None = None

    @classmethod
    def of(cls, value: Any) -> "RawMessage | None":
        """Any JSON value; None where it is no object."""
        if not isinstance(value, dict):
            return None
        fields = cast("dict[str, Any]", value)
        edited = fields.get("edited")
        return cls(
            type="message" if fields.get("type") in (None, "message") else "other",
            subtype=found if isinstance(found := fields.get("subtype"), str) else None,
            user=parse_text(fields.get("user")),
            text=parse_text(fields.get("text")),
            ts=parse_ts(fields.get("ts")),
            thread_ts=parse_ts(fields.get("thread_ts")),
            bot_id="B" if fields.get("bot_id") else None,
            app_id="A" if fields.get("app_id") else None,
            bot_profile=Present() if _is_there(fields.get("bot_profile")) else None,
            client_msg_id="m" if fields.get("client_msg_id") else None,
            edited=Edited(parse_ts(cast("dict[str, Any]", edited).get("ts")))
            if isinstance(edited, dict)
            else None,
            hidden=fields.get("hidden") is True,
            blocks=fields.get("blocks"),  # pyright: ignore[reportArgumentType]
            user_profile=fields.get("user_profile"),  # pyright: ignore[reportArgumentType]
            message=fields.get("message"),  # pyright: ignore[reportArgumentType]
            previous_message=fields.get("previous_message"),  # pyright: ignore[reportArgumentType]
            original=fields.get("original"),  # pyright: ignore[reportArgumentType]
            comment=fields.get("comment"),  # pyright: ignore[reportArgumentType]
            deleted_ts=parse_ts(fields.get("deleted_ts")),
        )


_LIST: Final = msgspec.json.Decoder(list[RawMessage])
_ONE: Final = msgspec.json.Decoder(RawMessage)
_ODD: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


def decode_messages(data: bytes) -> list[RawMessage] | None:
    """A whole day file at once; None: something in it is odd or there is too much, read it element by element."""
    if len(data) > SURELY_FEW_BYTES and data.count(b"{") > MOST_OBJECTS:
        return None
    try:
        return _LIST.decode(data)
    except _ODD:
        return None


def inner(value: Any) -> Any:
    """A field's JSON, whichever way its message was read."""
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return msgspec.json.decode(value)
    except _ODD:
        return None


def inner_message(value: Any) -> RawMessage | None:
    """A message inside a message."""
    if isinstance(value, msgspec.Raw):
        try:
            return _ONE.decode(value)
        except _ODD:
            pieces = (b"[", bytes(value), b"]")
            try:
                value = next(array_elements(pieces, INNER_CHARACTERS), None)
            except (BadArray, ElementTooLong):
                return None
    return RawMessage.of(value)


def _is_there(value: Any) -> bool:
    return isinstance(value, dict) or bool(value)
