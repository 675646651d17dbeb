"""``/doppel …``: what somebody typed, read generously."""

import re
from dataclasses import dataclass
from typing import Final, Literal

Verb = Literal["train", "status", "help"]
_MENTION: Final = re.compile(r"<@([UW][A-Z0-9]{1,30})(?:\|[^<>]*)?>")
_ID: Final = re.compile(r"[UW][A-Z0-9]{6,30}")
_SPACES: Final = re.compile(r"[\s\u00a0\u2007\u202f]+")
_QUOTES: Final = "\"'\u201c\u201d\u2018\u2019\u201e\u00ab\u00bb"

HELP: Final = (
    "`/doppel train @ada` asks Ada whether she may be imitated and, if she allows it, learns how she writes.\n"
    "`/doppel status` shows who can be imitated here.\n"
    "Mention me in a channel, and I answer in the thread."
)


@dataclass(frozen=True)
class Command:
    """One command: `who` is an id or a bare name."""

    verb: Verb
    user_id: str | None = None
    name: str | None = None


def parse_command(text: str) -> Command:
    """Read ``train <@U1|ada>``, ``train <@U1>``, ``train @ada``, ``train U0123456``. What is unclear is ``help``."""
    words = _SPACES.sub(" ", text).strip()
    verb, _, rest = words.partition(" ")
    rest = rest.strip().strip(_QUOTES).strip()
    if verb.lower() == "status":
        return Command("status")
    if verb.lower() != "train" or not rest:
        return Command("help")
    if found := _MENTION.search(rest):
        return Command("train", user_id=found[1])
    if _ID.fullmatch(rest):
        return Command("train", user_id=rest)
    return Command("train", name=rest.lstrip("@").strip()[:80])
