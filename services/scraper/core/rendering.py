"""From a candidate to a sample: redacted, rendered as a mention is, within the base model's tokens."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from proto.conversation import Message, Sample, Turn, join_parts, render_turns
from services.scraper.core.redact import EMAIL, PHONE, SECRET, Redactor
from services.scraper.core.said import Said
from services.scraper.core.samples import Candidate

NOBODY: Final = "someone"
FRAME_TOKENS: Final = 8  # around a turn, at most; only a first guess, what is kept is measured whole
_PLACEHOLDER: Final = re.compile("|".join(re.escape(each) for each in (SECRET, EMAIL, PHONE)))
_WORDS: Final = re.compile(r"[^\W_]")


class Tokens(Protocol):
    """Lengths in the base model's tokens (`doppel.basemodel.prompt.PromptEncoder`)."""

    def text_sizes(self, texts: Sequence[str]) -> list[int]:
        """Of plain texts."""
        ...

    def turn_sizes(self, turns: Sequence[Turn]) -> list[int]:
        """Of whole turns."""
        ...


@dataclass(frozen=True)
class Rendered:
    """A sample and its lengths."""

    sample: Sample
    part_count: int
    context_tokens: int
    response_tokens: int


@dataclass(frozen=True)
class Renderer:
    """Renders one person's candidates. `hidden`: names of people who opted out, no longer to be read in mentions."""

    user_id: str
    names: Mapping[str, str]
    hidden: frozenset[str]
    redact: Redactor
    tokens: Tokens
    context_tokens: int

    @cached_property
    def _hidden(self) -> re.Pattern[str] | None:
        """One pattern for all hidden names, the longest first; `Al` is not hidden in `Alice`."""
        names = sorted((re.escape(name) for name in self.hidden if name), key=lambda name: (-len(name), name))
        return re.compile(rf"@(?:{'|'.join(names)})(?!\w)") if names else None

    def answer(self, candidate: Candidate) -> str:
        """What would be learnt from it; empty where nothing but placeholders is left."""
        answer = join_parts(self._clean(part) for part in candidate.parts)
        return answer if _WORDS.search(_PLACEHOLDER.sub("", answer)) else ""

    def render(self, candidates: Sequence[Candidate]) -> list[Rendered]:
        """A batch: what is tokenised, is tokenised together."""
        contexts = [[self._message(said) for said in each.context] for each in candidates]
        sizes = self._sizes({message.text for context in contexts for message in context})
        turns = [self._turns(context, sizes) for context in contexts]
        answers = [self.answer(each) for each in candidates]
        turn_sizes = iter(self.tokens.turn_sizes([turn for each in turns for turn in each]))
        answer_sizes = self.tokens.text_sizes(answers)
        rendered: list[Rendered] = []
        for number, candidate in enumerate(candidates):
            measured = [next(turn_sizes) for _ in turns[number]]
            sample = Sample(
                turns=self._fitting(turns[number], measured),
                response=answers[number],
                channel_id=candidate.channel_id,
                ts=candidate.ts,
                thread_ts=candidate.thread_ts,
                conversation=candidate.conversation,
            )
            if len(sample.turns) < len(measured) or sum(measured) > self.context_tokens:
                measured = self.tokens.turn_sizes(sample.turns)
            rendered.append(Rendered(sample, len(candidate.parts), sum(measured), answer_sizes[number]))
        return rendered

    def _message(self, said: Said) -> Message:
        return said.as_message(self._clean(said.text))

    def _clean(self, text: str) -> str:
        text = self.redact(text)
        return self._hidden.sub(f"@{NOBODY}", text) if self._hidden is not None and "@" in text else text

    def _sizes(self, texts: set[str]) -> dict[str, int]:
        ordered = sorted(texts)
        return dict(zip(ordered, self.tokens.text_sizes(ordered), strict=True))

    def _turns(self, context: Sequence[Message], sizes: Mapping[str, int]) -> tuple[Turn, ...]:
        """The newest messages that fit, by their lengths one by one."""
        room = self.context_tokens
        first = len(context)
        while first > 0:
            message = context[first - 1]
            speaker = len(self.names.get(message.user_id or "", NOBODY)) // 3 + 3
            room -= sizes[message.text] + speaker + (FRAME_TOKENS if first == len(context) else 0)
            if room < 0 and first < len(context):
                break
            first -= 1
        return render_turns(context[first:], self.user_id, self.names)

    def _fitting(self, turns: tuple[Turn, ...], sizes: Sequence[int]) -> tuple[Turn, ...]:
        """Whole turns from the newest; of one that alone is too long, its end: that is what was answered."""
        total = sum(sizes)
        first = 0
        while total > self.context_tokens and first < len(turns) - 1:
            total -= sizes[first]
            first += 1
        kept = turns[first:]
        while total > self.context_tokens:
            content = kept[-1].content
            share = max(1, len(content) * (self.context_tokens - FRAME_TOKENS) // (total + 1))
            if share >= len(content):
                break
            kept = (Turn(role=kept[-1].role, content=_end_of(content, share)),)
            total = self.tokens.turn_sizes(kept)[0]
        return kept


def _end_of(content: str, characters: int) -> str:
    """The last so many characters, from the beginning of a line where there is one."""
    end = content[-characters:]
    _, _, whole = end.partition("\n")
    return whole.lstrip() or end.lstrip() or content[-1:]
