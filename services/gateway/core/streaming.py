"""An answer while it is written: what of it may be shown already, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from doppel.slack import mrkdwn
from proto.conversation import split_parts
from proto.generate import TokenDelta
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import PART_LIMIT, is_marked
from services.gateway.core.routing import Bot

MOST_STREAMED: Final = PART_LIMIT - 500  # what is longer is shown as it goes on, once it is whole
_APART: Final = str.maketrans({"<": f"<{mrkdwn.WORD_JOINER}", "@": f"@{mrkdwn.WORD_JOINER}"})


@dataclass
class Written:
    """The pieces so far. They may be lost on the way: then what came after the gap is not shown."""

    text: str = ""
    is_whole: bool = True
    is_done: bool = False
    _next: int = field(default=0, repr=False)

    def add(self, piece: TokenDelta) -> None:
        """Take one piece; pieces come in order, each once, or not at all."""
        if piece.seq < self._next:
            return
        self.is_whole = self.is_whole and piece.seq == self._next
        self._next = piece.seq + 1
        self.is_done = self.is_done or piece.done
        if self.is_whole:
            self.text += piece.text


def showable(text: str, *, is_persona: bool) -> str:
    """What of a text that goes on may stand in its first message: it only ever grows, and can do nothing.

    It is Markdown there, so nothing is escaped; every ``<`` and ``@`` is kept apart from what follows.
    """
    said = text
    if is_persona:
        said = next(iter(split_parts(text)), "")
    harmless = mrkdwn.unseen(said.lstrip()).translate(_APART)
    return harmless[:MOST_STREAMED].rstrip()


def may_stream(row: OutboxRow) -> bool:
    """An answer to a mention, which everybody in the thread sees from its beginning."""
    return (
        row.kind == "reply"
        and row.trigger_ts is not None
        and row.thread_ts is not None
        and row.asked_by is not None
        and row.replaces is None
        and not row.is_ephemeral
        and row.note is None
    )


def select_begun(
    thread: Sequence[Mapping[str, Any]], row: OutboxRow, bot: Bot, taken: Iterable[str]
) -> str | None:
    """The message that was begun for an answer and whose ts we never learnt. None: it is not to be seen.

    It has our mark, or none at all: under that name, after the question, and no other answer's.
    """
    others = frozenset(taken)
    for each in thread:
        ts = str(each.get("ts") or "")
        if ts in others or ts <= (row.trigger_ts or "") or each.get("bot_id") != bot.bot_id:
            continue
        if is_marked(each, request_id=str(row.request_id), part=0, app_id=bot.api_app_id, bot_id=bot.bot_id):
            return ts
        if not each.get("metadata") and str(each.get("username") or "") == (row.stream_name or ""):
            return ts
    return None
