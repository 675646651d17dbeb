"""Slack's mrkdwn, both ways, as plain functions.

In: ``<…>`` tokens are read first, then ``&lt; &gt; &amp;`` are unescaped in one pass, once, so ``&amp;lt;`` stays
``&lt;``. Out: the whole text is escaped first; only what we made ourselves may be live.
Source: docs.slack.dev, "Formatting message text".
"""

import re
from collections.abc import Mapping
from typing import Final

_TOKEN: Final = re.compile(r"<([^<>]{1,4000})>")
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]{0,20}:(?://)?")
_ENTITY: Final = re.compile(r"&(amp|lt|gt);")
_PLAIN: Final = {"amp": "&", "lt": "<", "gt": ">"}
_MASS: Final = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
# C0 controls but tab and newline, DEL, bidi overrides and isolates, zero-width and BOM, line/paragraph separators
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
WORD_JOINER: Final = "\u2060"
FENCE: Final = "```"


def to_plain(text: str, names: Mapping[str, str]) -> str:
    """What a reader sees: mentions by `names` (id → name; never the typed label), links as URLs, unescaped once."""
    parts: list[str] = []
    end = 0
    for found in _TOKEN.finditer(text):
        parts += [_unescape(text[end : found.start()]), _token(found[1], names)]
        end = found.end()
    parts.append(_unescape(text[end:]))
    return "".join(parts)


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda found: _PLAIN[found[1]], text)


def _token(inside: str, names: Mapping[str, str]) -> str:
    body, _, label = inside.partition("|")
    match body[:1]:
        case "@":
            return "@" + names.get(body[1:], "someone")
        case "#":
            return "#" + (names.get(body[1:]) or _unescape(label) or "channel")
        case "!":
            return _special(body[1:], _unescape(label))
        case _:
            return _link(_unescape(body), _unescape(label))


def _link(target: str, label: str) -> str:
    """The address; with what the person wrote for it where that says something else. Unknown tokens: the label."""
    bare = _SCHEME.sub("", target)
    if bare == target:
        return label or target
    shown = bare if target.startswith(("mailto:", "tel:")) else target
    if not label or label in (target, shown) or _bared(label) == _bared(target):
        return shown
    return f"{label} ({shown})"


def _bared(address: str) -> str:
    return _SCHEME.sub("", address).rstrip("/")


def _special(body: str, label: str) -> str:
    if body.startswith(("subteam^", "date^")):
        return label
    return "@" + body if body in {"here", "channel", "everyone"} else label


def mentions(text: str) -> list[str]:
    """User ids mentioned, in order."""
    return [found[1][1:].partition("|")[0] for found in _TOKEN.finditer(text) if found[1][:1] == "@"]


def escape(text: str) -> str:
    """Make text inert: no token, no entity of it is live."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unseen(text: str) -> str:
    """Without the characters that nobody sees, and without halves of characters."""
    return _SURROGATE.sub("\ufffd", _UNSEEN.sub("", text))


def defuse(text: str) -> str:
    """Plain model output → text that can do nothing: invisible characters gone, mass mentions broken, escaped."""
    return escape(_MASS.sub("@" + WORD_JOINER, unseen(text)))


def split(text: str, limit: int) -> list[str]:
    """Split escaped text into parts of at most `limit` characters: at a paragraph, line, sentence or space.

    Never inside an entity or a surrogate pair; a code fence is closed at the end of a part and opened again.
    `limit` must leave room for that: at least 40.
    """
    if limit < 40:
        raise ValueError("limit is too small to split at")
    parts: list[str] = []
    rest = text.strip()
    fenced = False
    while rest:
        head = f"{FENCE}\n" if fenced else ""
        room = limit - len(head) - len(FENCE) - 1
        if len(head) + len(rest) <= limit:
            parts.append(head + rest)
            break
        cut = _cut(rest, room)
        piece, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n ")
        fenced = fenced ^ (piece.count(FENCE) % 2 == 1)
        if piece:
            parts.append(head + piece + (f"\n{FENCE}" if fenced else ""))
    return parts


def _cut(text: str, room: int) -> int:
    """Where to cut: the last good border in the later half of `room`, else `room` itself, moved off an entity."""
    window = text[:room]
    for border in ("\n\n", "\n", ". ", "! ", "? ", " "):
        found = window.rfind(border, room // 2)
        if found > 0:
            return found + (1 if border[0] in ".!?" else 0)
    amp = window.rfind("&", max(0, room - 5))
    if amp > 0 and _ENTITY.match(text, amp) and ";" not in window[amp:]:
        return amp
    tick = len(window) - len(window.rstrip("`"))
    return room - tick if 0 < tick < min(3, room) and text[room : room + 1] == "`" else room
