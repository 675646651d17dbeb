"""One person's samples out of a conversation: what was said before, then what they answered.

Neighbouring messages of theirs, close in time, are one answer: people write several in a row. What is left out is
counted by its reason, in messages.
"""

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from proto.conversation import SPEAKER_LIMIT, Message, Sample, Turn, WordsOf, render_turns
from services.scraper.core.redact import redact
from services.scraper.core.segment import Conversation
from services.scraper.core.timestamps import seconds_of, ts_key

BURST_S: Final = 180.0
CONTEXT_AGE_S: Final = 30 * 60.0  # in a channel; in a thread everything before belongs to it
MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 4_000
MOST_REPEATS: Final = 3  # of one and the same answer: "thanks!" is a voice, a hundred of them are noise
CONTEXT_MESSAGE_CHARACTERS: Final = 1_000
_LINK: Final = re.compile(r"\bhttps?://[^\s]{1,2000}")
_EMOJI: Final = re.compile(r":[a-z0-9_+'-]{1,100}:(?::skin-tone-\d:)?")
_CODE: Final = re.compile(r"```[^`]{0,40000}```")
_WORDS: Final = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Shape:
    """How much of a conversation a sample holds."""

    context_messages: int = 12
    context_characters: int = 2_000


@dataclass
class Cutter:
    """Cuts samples of one person. Holds only what is counted and which answers came how often."""

    user_id: str
    names: Mapping[str, str]
    shape: Shape = Shape()
    dropped: Counter[str] = field(default_factory=Counter[str])
    _seen: Counter[bytes] = field(default_factory=Counter[bytes])
    _ids: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Whom a name means, where it means one person."""
        counted = Counter(self.names.values())
        self._ids = {name: user_id for user_id, name in self.names.items() if counted[name] == 1}

    def cut(self, conversation: Conversation) -> Iterator[Sample]:
        """The samples of one conversation."""
        messages = conversation.messages
        position = conversation.known
        while position < len(messages):
            if not self._is_own(messages[position]):
                position += 1
                continue
            end = self._end_of_burst(messages, position)
            burst = messages[position:end]
            sample = self._sample(messages[:position], burst, in_thread=conversation.in_thread)
            if isinstance(sample, str):
                self.dropped[sample] += len(burst)
            else:
                yield sample
            position = end

    def _is_own(self, message: Message) -> bool:
        return message.user_id == self.user_id and message.words_of == WordsOf.PERSON

    def _end_of_burst(self, messages: tuple[Message, ...], start: int) -> int:
        end = start + 1
        while end < len(messages) and self._is_own(messages[end]):
            if seconds_of(messages[end].ts) - seconds_of(messages[end - 1].ts) > BURST_S:
                break
            end += 1
        return end

    def _sample(
        self, before: tuple[Message, ...], burst: tuple[Message, ...], *, in_thread: bool
    ) -> Sample | str:
        """A sample, or the reason why there is none."""
        response = redact("\n".join(message.text.strip() for message in burst))
        if reason := reason_to_drop(response):
            return reason
        turns = self._context(before, burst[0], in_thread=in_thread)
        if not turns or turns[-1].role != "user":
            return "no_context"
        fingerprint = hashlib.sha256(" ".join(response.lower().split()).encode()).digest()[:8]
        if self._seen[fingerprint] >= MOST_REPEATS:
            return "duplicate"
        self._seen[fingerprint] += 1
        return Sample(turns=turns, response=response, channel_id=burst[0].channel_id, ts=burst[0].ts)

    def _context(self, before: tuple[Message, ...], answer: Message, *, in_thread: bool) -> tuple[Turn, ...]:
        """The newest messages before the answer that fit, rendered as a mention would be."""
        heard = before if in_thread else self._heard(before, answer)
        kept: list[Message] = []
        room = self.shape.context_characters
        for message in reversed(heard[-self.shape.context_messages :]):
            text = redact(message.text[:CONTEXT_MESSAGE_CHARACTERS])
            if kept and len(text) > room:
                break
            room -= len(text)
            kept.append(message.model_copy(update={"text": text}))
        return render_turns(kept[::-1], self.user_id, self.names)

    def _heard(self, before: tuple[Message, ...], answer: Message) -> tuple[Message, ...]:
        """What a message in a channel answers: what was said lately; by those two alone where it names somebody."""
        oldest = seconds_of(answer.ts) - CONTEXT_AGE_S
        recent = tuple(message for message in before if seconds_of(message.ts) >= oldest)
        other = self._named_first(answer.text)
        between = tuple(message for message in recent if self._is_between(message, other))
        if other is None or not between or between[-1].user_id == self.user_id:
            return recent
        return between

    def _is_between(self, message: Message, other: str | None) -> bool:
        """The other's words, and own ones that go to nobody else."""
        if message.user_id == self.user_id:
            return self._named_first(message.text) in (other, None)
        return message.user_id == other

    def _named_first(self, text: str) -> str | None:
        """The person whose mention opens a text."""
        if not text.startswith("@"):
            return None
        lengths = range(min(len(text), SPEAKER_LIMIT + 1), 1, -1)
        return next((found for n in lengths if (found := self._ids.get(text[1:n])) is not None), None)


@dataclass
class Newest:
    """The newest samples of a person, by conversation; older ones leave above `limit`."""

    limit: int
    dropped: int = 0
    groups: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])
    _held: int = 0

    def add(self, key: str, samples: list[Sample]) -> None:
        """Take the samples of one conversation; twice the limit is held at most, and one conversation."""
        if not samples:
            return
        self.groups.setdefault(key, []).extend(samples)
        self._held += len(samples)
        if self._held > 2 * self.limit:
            self.prune()

    def prune(self) -> None:
        """Keep `limit` of them."""
        if self._held <= self.limit:
            return
        everything = ((ts_key(s.ts), key, s) for key, samples in self.groups.items() for s in samples)
        kept = heapq.nlargest(self.limit, everything, key=lambda entry: entry[:2])
        self.dropped += self._held - len(kept)
        self.groups = {}
        for _, key, sample in sorted(kept, key=lambda entry: entry[:2]):
            self.groups.setdefault(key, []).append(sample)
        self._held = len(kept)


def reason_to_drop(response: str) -> str | None:
    """Why an answer teaches nothing about a voice; None: it does."""
    text = response.strip()
    if text.startswith(("/", "!")) and len(text) > 1 and text[1].isalpha():
        return "command"
    if len(text) > MAX_CHARACTERS:
        return "too_long"
    without_code = _CODE.sub("", text)
    if not _WORDS.search(without_code) and without_code != text:
        return "only_code"
    without_links = _LINK.sub("", without_code)
    if not _WORDS.search(without_links) and without_links != without_code:
        return "only_link"
    if not _WORDS.search(_EMOJI.sub("", without_links)):
        return "only_emoji"
    return "too_short" if len(text) < MIN_CHARACTERS else None
