"""What of a person's messages teaches nothing about their voice: not their words, or hardly any words.

Each test is linear in the text. The order matters: the first reason that holds is the one that is counted.
"""

import re
from typing import Final

from doppel.slack.mrkdwn import FENCE

_LINK: Final = re.compile(r"\bhttps?://[^\s]{1,2000}")
_EMOJI: Final = re.compile(r":[a-z0-9_+'-]{1,100}:(?::skin-tone-\d:)?")
_CODE: Final = re.compile(r"```[^`]{0,40000}```")
_WORDS: Final = re.compile(r"[^\W_]")
_LINK_WORDS: Final = 2  # beside a link; "see https://…" is still only a link
# How a line of a log, a trace or a terminal begins, or what is in it and in no sentence.
_LOG_LINE: Final = re.compile(
    r"""\s{0,40}(?:
        [\[(<]?\d{4}-\d\d-\d\d[T ]\d\d:\d\d                      # 2024-01-01 12:00
      | (?:\w{3}\s)?\w{3}\s{1,2}\d{1,2}\s\d\d:\d\d:\d\d\s        # Jan  1 12:00:00 host
      | [\[(<]\s{0,6}\d{1,8}[.:]\d{1,6}(?::\d\d)?\s?[\])>]       # [   12.345678], [12:30], (12:30:01)
      | [\[(<]?(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|CRITICAL|NOTICE|EE|WW|II)[\])>]?[\s:|]
      | Traceback\ \(most\ recent | File\ ".{1,300}",\ line\ \d | at\ [\w.$<>]{3,200}\([\w.]{1,100}(?::\d+)?\)
      | (?:[\w.-]{1,40}@[\w.-]{1,60}:\S{0,200}|root\#|>>>|PS\ [A-Z]:\\\S{0,200}>)\s?[$\#]?\s
      | [$\#]\s\w | (?:E|W|N):\s | (?:Get|Hit|Ign|Err):\d{1,4}\s | (?:deb|deb-src)\s(?:\[|https?://|cdrom:)
      | (?:GET|POST|PUT|DELETE|HEAD)\ /\S{0,500}\ (?:HTTP|\d{3})
      | [\w./-]{1,200}:\d{1,6}(?::\d{1,6})?:\s | [-dlrwxst]{10}[.+@]?\s
      | \d{1,3}(?:\.\d{1,3}){3}\s\S{1,40}\s\S{1,40}\s\[ | 0x[0-9a-f]{4,16}[\s:]
    )""",
    re.VERBOSE,
)
_LOG_LINES: Final = 2  # of a message; a single one is often quoted in a sentence about it
_DENSE: Final = 0.55  # share of letters under which several lines read like a table or dump
_DENSE_LINES: Final = 4
LINES_LOOKED_AT: Final = 200


def own_words(text: str) -> str:
    """A message without the lines that it quotes: they are somebody else's."""
    if ">" not in text:
        return text.strip()
    kept: list[str] = []
    in_code = False
    for line in text.split("\n"):
        if in_code or not line.lstrip().startswith(">"):
            kept.append(line)
            in_code ^= line.count(FENCE) % 2 == 1
    return "\n".join(kept).strip()


def reason_to_drop(text: str) -> str | None:
    """Why a message teaches nothing about a voice; None: it does. `text`: without its quotations."""
    text = text.strip()
    if not text:
        return "forwarded"
    if text[0] in "/!" and len(text) > 1 and text[1].isalpha():
        return "command"
    without_code = _CODE.sub("", text)
    if without_code != text and not _WORDS.search(without_code):
        return "only_code"
    without_links = _LINK.sub("", without_code)
    if without_links != without_code and len(without_links.split()) <= _LINK_WORDS:
        return "only_link"
    if not _WORDS.search(_EMOJI.sub("", without_links)):
        return "only_emoji"
    return "pasted_log" if is_log(text) else None


def is_log(text: str) -> bool:
    """A paste of a log, a trace, a terminal or a table, rather than words about it."""
    lines = [line for line in text.split("\n", LINES_LOOKED_AT)[:LINES_LOOKED_AT] if line.strip()]
    found = sum(1 for line in lines if _LOG_LINE.match(line[:1000]))
    if len(lines) == 1:
        return bool(found) and _letters(lines[0]) < 0.7
    if found >= _LOG_LINES and 2 * found >= len(lines):
        return True
    return len(lines) >= _DENSE_LINES and _letters(text[:8000]) < _DENSE


def _letters(text: str) -> float:
    """Share of letters among what is not space."""
    solid = "".join(text.split())
    return sum(each.isalpha() for each in solid) / len(solid) if solid else 1.0
