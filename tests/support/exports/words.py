"""Pieces of text as Slack writes them, each beside what a reader sees: nothing here unescapes anything.

A piece is ``(raw, seen)``. `seen` is a regular expression, since a few pieces may rightly be shown in two ways.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import Any, Final

TOKEN: Final = "xoxe-1234567890-abcdefabcdef"
ANY: Final = r"[\s\S]{0,200}"


@dataclass(frozen=True)
class Names:
    """Who and what a text may mention: id → the name that the directory gives."""

    users: dict[str, str]
    channels: dict[str, str]


def _same(text: str) -> tuple[str, str]:
    return text, re.escape(text)


LITERAL: Final = [
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;lt;", "&lt;"),
    ("&amp;amp;lt;", "&amp;lt;"),
    ("&lt;b&gt;bold&lt;/b&gt;", "<b>bold</b>"),
    ("&lt;@U0FAKE&gt;", "<@U0FAKE>"),
    ("&lt;!channel&gt;", "<!channel>"),
    ("if a &lt; b &amp;&amp; c &gt; d", "if a < b && c > d"),
    ("&copy;", "&copy;"),
    ("&#60;", "&#60;"),
    ("&quot;&nbsp;", "&quot;&nbsp;"),
    ("```\n&lt;div&gt;\n```", "```\n<div>\n```"),
    ("`a &amp;&amp; b`", "`a && b`"),
    ("<!here>", "@here"),
    ("<!channel|@channel>", "@channel"),
    ("<!everyone|everyone>", "@everyone"),
    ("<!subteam^S0AB|@team>", "@team"),
    ("<!date^1392734382^{date_short}|Feb 18>", "Feb 18"),
    ("<mailto:someone@example.com|someone@example.com>", "someone@example.com"),
    ("<tel:+15550100|+15550100>", "+15550100"),
    ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
    ("<https://example.com/x|https://example.com/x>", "https://example.com/x"),
    ("`<https://example.com/in-code>`", "`https://example.com/in-code`"),
    ("*bold* _it_ ~no~", "*bold* _it_ ~no~"),
    (":clap::skin-tone-2:", ":clap::skin-tone-2:"),
    ("👩‍👩‍👧‍👦 e\u0301 漢字 größer", "👩‍👩‍👧‍👦 e\u0301 漢字 größer"),
    ("مرحبا שלום", "مرحبا שלום"),
    ("line\n\nline\ttab", "line\n\nline\ttab"),
    ("\\n \\u0041 \"quoted\" 'single' }{][", "\\n \\u0041 \"quoted\" 'single' }{]["),
    ("-----", "-----"),
]
LOOSE: Final = [  # shown in one of several ways; what matters is that the rest survives
    ("<https://example.com/x|a label>", r"(?:https://example\.com/x|a label)" + ANY),
    ("<!subteam^S0AB>", ANY),
    ("<@U0NOBODY|mallory>", "@someone"),
    ("<@U0NOBODY>", "@someone"),
    ("<#C0NOWHERE|old-name>", "#" + ANY),
    ("<#C0NOWHERE|>", "#?" + ANY),
    ("<unknown-thing|its label>", ANY),
    ("nul\x00byte", "nul.?byte"),
    ("lone\ud83dhigh", "lone.{0,3}high"),
    ("lone\udc00low", "lone.{0,3}low"),
    ("right\u202eto left\u202c", "right\u202e?to left\u202c?"),
    ("\ufeffbom", "\ufeff?bom"),
    ("\u2028sep\u2029", r"\s?sep\s?"),
    (f"<https://files.slack.com/f.pdf?t={TOKEN}>", r"https://files\.slack\.com/f\.pdf" + ANY),
    (
        f"<https://files.slack.com/f.pdf?x=1&amp;t={TOKEN}|f.pdf>",
        r"(?:https://files\.slack\.com/f\.pdf|f\.pdf)" + ANY,
    ),
]


def text(rng: Random, names: Names, marker: str) -> tuple[str, str]:
    """A human's text that holds `marker`, and the pattern of what a reader sees."""
    pieces = [_same(marker), *(_piece(rng, names) for _ in range(rng.choice((0, 0, 1, 1, 2, 4))))]
    if rng.random() < 0.02:
        long = "long words " * ((39_000 - sum(len(raw) for raw, _ in pieces)) // 11)
        pieces.append(_same(long))
    if rng.random() < 0.3:
        rng.shuffle(pieces)
    space = rng.choice((" ", " ", "\n", "  "))
    return space.join(raw for raw, _ in pieces), re.escape(space).join(seen for _, seen in pieces)


def _piece(rng: Random, names: Names) -> tuple[str, str]:
    kind = rng.randrange(5)
    if kind == 0 and names.users:
        user_id = rng.choice(sorted(names.users))
        label = rng.choice(("", "|", "|mallory"))
        return f"<@{user_id}{label}>", "@" + re.escape(names.users[user_id])
    if kind == 1 and names.channels:
        channel_id = rng.choice(sorted(names.channels))
        label = rng.choice(("", "|", "|old-name"))
        return f"<#{channel_id}{label}>", "#" + re.escape(names.channels[channel_id])
    if kind == 2:
        return rng.choice(LOOSE)
    raw, seen = rng.choice(LITERAL)
    return raw, re.escape(seen)


ELEMENTS: Final[list[tuple[dict[str, Any], str]]] = [
    ({"type": "text", "text": "a < b & c > d"}, re.escape("a < b & c > d")),
    ({"type": "text", "text": "&lt;already&gt; &amp;lt;"}, re.escape("&lt;already&gt; &amp;lt;")),
    ({"type": "text", "text": "<@U0FAKE> <!channel>"}, re.escape("<@U0FAKE> <!channel>")),
    ({"type": "text", "text": "bold", "style": {"bold": True}}, r"\*?bold\*?"),
    ({"type": "text", "text": None}, ""),
    ({"type": "emoji", "name": "tada", "unicode": "1f389"}, ":tada:"),
    ({"type": "link", "url": "https://example.com/?a=1&b=2"}, re.escape("https://example.com/?a=1&b=2")),
    ({"type": "link", "url": "https://example.com", "text": "label"}, ANY),
    ({"type": "broadcast", "range": "here"}, "@here"),
    ({"type": "usergroup", "usergroup_id": "S0AB"}, ANY),
    ({"type": "date", "timestamp": 1392734382, "fallback": "Feb 18"}, ANY),
    ({"type": "color", "value": "#ffffff"}, ANY),
    ({"type": "hologram", "text": {"of": ["the", "future"]}}, ANY),
]


def blocks(rng: Random, names: Names, marker: str) -> tuple[list[Any], str]:
    """The same as blocks, for a message without text: their words are not escaped."""
    if rng.random() < 0.2:
        raw, seen = text(rng, names, marker)
        words = {"type": "mrkdwn", "text": raw[:3000]}
        if len(raw) <= 3000:
            return [{"type": "section", "text": words}], seen
    elements: list[Any] = [{"type": "text", "text": f"{marker}."}]
    seen = rf"{marker}\."
    for _ in range(rng.randrange(4)):
        if names.users and rng.random() < 0.3:
            user_id = rng.choice(sorted(names.users))
            elements.append({"type": "user", "user_id": user_id})
            seen += "@" + re.escape(names.users[user_id])
        else:
            element, shown = rng.choice(ELEMENTS)
            elements.append(element)
            seen += shown
    section = {"type": "rich_text_section", "elements": elements}
    wrapped: list[Any] = [{"type": "rich_text", "block_id": "x", "elements": [section]}]
    if rng.random() < 0.3:
        wrapped.append(rng.choice(({"type": "video", "title": 5}, None, "block", {"type": None}, [])))
    return wrapped, ANY + seen + ANY if len(wrapped) > 1 else seen
