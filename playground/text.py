"""What a person types becomes what a client sends: escaped text, tokens for mentions and links, a rich_text block."""

import re
from collections.abc import Mapping
from typing import Any

_WIRE_FORM = r"<(?:@[UW][A-Z0-9]+|#C[A-Z0-9]+|!(?:here|channel|everyone|subteam\^S[A-Z0-9]+))(?:\|[^<>]*)?>"
_TYPED = re.compile(
    rf"(?P<token>{_WIRE_FORM})"
    r"|(?P<link>\bhttps?://[^\s<>|]+[^\s<>|.,;:!?)\]}'\"])"
    r"|(?<![\w@.])@(?P<user>[a-zA-Z][\w.-]*\w|[a-zA-Z])"
    r"|(?<![\w#&])#(?P<channel>[a-z0-9][\w-]*)"
)
_WIRE = re.compile(r"<(@|#|!)?([^<>|]+)(?:\|([^<>]*))?>")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


def escape(text: str) -> str:
    """Slack escapes these three characters and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """The inverse of `escape`, in one pass: ``&amp;lt;`` is ``&lt;``."""
    return re.sub(r"&(?:amp|lt|gt);", lambda match: _ENTITIES[match.group()], text)


def encode_typed(
    text: str, *, users: Mapping[str, str], channels: Mapping[str, str], with_names: bool = False
) -> str:
    """Encode typed `text`: `users` maps handles to ids, `channels` names to ids; unknown ones stay as they are.

    `with_names` gives ``<@U1|ada>``, as slash commands with should_escape do.
    """
    parts: list[str] = []
    end = 0
    for match in _TYPED.finditer(text):
        replacement = _token(match, users, channels, with_names=with_names)
        if replacement is None:
            continue
        token, tail = replacement
        parts += [escape(text[end : match.start()]), token, escape(tail)]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def _token(
    match: re.Match[str], users: Mapping[str, str], channels: Mapping[str, str], *, with_names: bool
) -> tuple[str, str] | None:
    """The token for a match and what of it stays text."""
    if token := match["token"]:
        return token, ""
    if link := match["link"]:
        return f"<{escape(link)}>", ""
    if channel := match["channel"]:
        channel_id = channels.get(channel)
        return (f"<#{channel_id}|{channel}>", "") if channel_id else None
    typed = match["user"]
    if typed in ("here", "channel", "everyone"):
        return f"<!{typed}>", ""
    handle = typed.lower()
    while handle and handle not in users and not handle[-1].isalnum():  # "@ada." ends a sentence
        handle = handle[:-1]
    if (user_id := users.get(handle)) is None:
        return None
    return (f"<@{user_id}|{handle}>" if with_names else f"<@{user_id}>"), typed[len(handle) :]


def rich_text(wire: str) -> list[dict[str, Any]]:
    """The block that a client sends beside `wire`; its elements are not escaped."""
    elements: list[dict[str, Any]] = []
    end = 0
    for match in _WIRE.finditer(wire):
        if match.start() > end:
            elements.append({"type": "text", "text": unescape(wire[end : match.start()])})
        elements.append(_element(match[1], match[2], match[3]))
        end = match.end()
    if end < len(wire):
        elements.append({"type": "text", "text": unescape(wire[end:])})
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": "typed", "elements": [section]}]


def _element(sigil: str | None, value: str, label: str | None) -> dict[str, Any]:
    if sigil == "@":
        return {"type": "user", "user_id": value}
    if sigil == "#":
        return {"type": "channel", "channel_id": value}
    if sigil == "!":
        return {"type": "broadcast", "range": value}
    link: dict[str, Any] = {"type": "link", "url": unescape(value)}
    return link | ({"text": unescape(label)} if label else {})


def mentions(wire: str, user_id: str) -> bool:
    """Whether the text names that user."""
    return f"<@{user_id}>" in wire or f"<@{user_id}|" in wire
