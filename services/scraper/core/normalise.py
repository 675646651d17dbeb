"""One raw Slack message → the one normal form, whatever the source; or why it is left out.

The decisions are those of `words`; here they get the contract's types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proto.conversation import Message, WordsOf
from services.scraper.core.raw_message import RawMessage
from services.scraper.core.words import MAX_TEXT, NOBODYS, Gone, Line, Spoken, read_message

__all__ = [
    "MAX_TEXT",
    "NOBODYS",
    "Deleted",
    "Dropped",
    "Outcome",
    "Said",
    "line_of",
    "message_of",
    "normalise",
]


@dataclass(frozen=True)
class Said:
    """A message as it stands. `edited_ts` (a sort key) decides between two copies of it.

    Without text it is an edit that left no words: it takes the place of an earlier copy, and is itself not kept.
    """

    message: Message
    edited_ts: str = ""


@dataclass(frozen=True)
class Deleted:
    """That message is gone: none of its copies stays. `mark` is what said so."""

    ts: str
    mark: str = field(default="message_deleted", compare=False)


@dataclass(frozen=True)
class Dropped:
    """Nobody's words, or not readable."""

    reason: str


Outcome = Said | Deleted | Dropped


def normalise(raw: Any, channel_id: str, names: Mapping[str, str]) -> Outcome:
    """Read one raw message. `names`: id → name, of users and channels."""
    fields = RawMessage.of(raw)
    found = read_message(fields, channel_id, names) if fields else "not_a_message"
    if isinstance(found, Spoken):
        return Said(message_of(found.line), found.edited_ts)
    return Deleted(found.ts, found.mark) if isinstance(found, Gone) else Dropped(found)


def message_of(line: Line) -> Message:
    """A line of a shard in the contract's words."""
    return Message(
        channel_id=line.channel_id,
        ts=line.ts,
        thread_ts=line.thread_ts,
        user_id=line.user_id,
        words_of=WordsOf(line.words_of),
        text=line.text,
        subtype=line.subtype,
        edited=line.edited,
    )


def line_of(message: Message) -> Line:
    """And back."""
    return Line(
        channel_id=message.channel_id,
        ts=message.ts,
        text=message.text,
        thread_ts=message.thread_ts,
        user_id=message.user_id,
        words_of=message.words_of.value,
        subtype=message.subtype,
        edited=message.edited,
    )
