"""One person's answers in a conversation: what was said before, then the messages that they wrote in a row.

What is left out is counted by its reason, in messages: each message of theirs is in one sample or in one count.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec

from services.scraper.core.filters import own_words, reason_to_drop
from services.scraper.core.said import PERSON, Said
from services.scraper.core.segment import Conversation
from services.scraper.core.timestamps import ts_key

BURST_S: Final = 180.0  # neighbours no further apart are one answer
MAX_CHARACTERS: Final = 4_000
CONTEXT_MESSAGE_CHARACTERS: Final = 1_000


@dataclass(frozen=True)
class Shape:
    """What counts as an answer, and how much may stand before it."""

    min_characters: int
    context_messages: int
    oldest_key: str = ""  # `ts_key` of the oldest moment that is learnt from


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An answer and what it answers, as they were said: neither redacted nor measured yet."""

    conversation: str
    channel_id: str
    ts: str
    thread_ts: str | None
    parts: tuple[str, ...]
    context: tuple[Said, ...]


@dataclass
class Cutter:
    """Cuts one person's answers. Holds only what is counted. The words of `opted_out` people leave no trace."""

    user_id: str
    shape: Shape
    opted_out: Collection[str] = frozenset()
    dropped: Counter[str] = field(default_factory=Counter[str])

    def cut(self, conversation: Conversation) -> Iterator[Candidate]:
        """The answers of one conversation."""
        messages = conversation.messages
        position = conversation.known
        while position < len(messages):
            if not self._is_own(messages[position]):
                position += 1
                continue
            end = self._end_of_burst(messages, position)
            candidate = self._candidate(conversation, position, end)
            if candidate is not None:
                yield candidate
            position = end

    def _is_own(self, said: Said) -> bool:
        return said.user_id == self.user_id and said.words_of == PERSON

    def _end_of_burst(self, messages: tuple[Said, ...], start: int) -> int:
        end = start + 1
        while end < len(messages) and self._is_own(messages[end]):
            if messages[end].at - messages[end - 1].at > BURST_S:
                break
            end += 1
        return end

    def _candidate(self, conversation: Conversation, start: int, end: int) -> Candidate | None:
        first = conversation.messages[start]
        if ts_key(first.ts) < self.shape.oldest_key:
            self.dropped["too_old"] += end - start
            return None
        parts = self._parts(conversation.messages[start:end])
        if not parts:
            return None
        length = sum(map(len, parts))
        if length < self.shape.min_characters or length > MAX_CHARACTERS:
            self.dropped["too_short" if length < self.shape.min_characters else "too_long"] += len(parts)
            return None
        context = self._context(conversation, start)
        if not context:
            self.dropped["no_context"] += len(parts)
            return None
        return Candidate(
            self._key(conversation),
            first.channel_id,
            first.ts,
            first.thread_ts if conversation.in_thread else None,
            parts,
            context,
        )

    def _key(self, conversation: Conversation) -> str:
        """What must not be split: a thread under the person's own words belongs to where they said them."""
        root = conversation.root
        return conversation.root_key if root is not None and self._is_own(root) else conversation.key

    def _parts(self, burst: tuple[Said, ...]) -> tuple[str, ...]:
        """What of the messages in a row is worth learning; the rest is counted."""
        kept: list[str] = []
        for said in burst:
            text = own_words(said.text)
            reason = reason_to_drop(text)
            if reason is None:
                kept.append(text)
            else:
                self.dropped[reason] += 1
        return tuple(kept)

    def _context(self, conversation: Conversation, start: int) -> tuple[Said, ...]:
        """The newest messages before the answer, up to the one it answers; empty where others say nothing in them."""
        messages = conversation.messages
        end = start
        if not conversation.in_thread:
            answered = conversation.answers[start]
            end = 0 if answered is None else answered + 1
        heard = (said for said in reversed(messages[:end]) if self._is_heard(said))
        kept = [_shortened(said) for said in islice(heard, self.shape.context_messages)]
        if kept and self._is_own(kept[0]):
            return ()  # they go on after a break, and nobody has answered: a prompt ends with somebody else's words
        return tuple(reversed(kept))

    def _is_heard(self, said: Said) -> bool:
        return said.user_id not in self.opted_out and bool(said.text.strip())


def _shortened(said: Said) -> Said:
    if len(said.text) <= CONTEXT_MESSAGE_CHARACTERS:
        return said
    return msgspec.structs.replace(said, text=said.text[:CONTEXT_MESSAGE_CHARACTERS])
