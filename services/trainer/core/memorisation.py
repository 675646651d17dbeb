"""What comes out word for word. A phrase that a person uses all the time is their voice; what they wrote once is not.

The measure follows N. Carlini et al., "Quantifying memorization across neural language models" (2023): a string is
extractable if greedy decoding continues its own beginning with it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.trainer.core.heaps import without_quotes

SEED: Final = 3  # words; shorter runs are anybody's
CATCHPHRASE: Final = 3  # samples that a run must stand in to be a habit
_WORD: Final = re.compile(r"\w+")
_CANARY: Final = re.compile(r"(?<![\w-])[A-Za-z0-9][A-Za-z0-9_-]{5,63}(?![\w-])")
_DIGITS: Final = 6
_MIXED_LENGTH: Final = 8

Gram = tuple[str, ...]


def words_of(text: str) -> list[str]:
    """Words in any case and script, without what stands between them."""
    return _WORD.findall(text.casefold())


@dataclass
class Learnt:
    """An index of training texts by their groups of three words."""

    _texts: list[list[str]] = field(default_factory=list[list[str]])
    _places: defaultdict[Gram, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict[Gram, list[tuple[int, int]]](list)
    )

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Learnt":
        """Index the person's own words of each text."""
        learnt = cls()
        for text in texts:
            words = words_of(without_quotes(text))
            number = len(learnt._texts)
            learnt._texts.append(words)
            for start in range(len(words) - SEED + 1):
                learnt._places[tuple(words[start : start + SEED])].append((number, start))
        return learnt

    def longest_run(self, text: str) -> int:
        """Words of the longest run in `text` that was learnt and is no habit; 0 below three."""
        words = words_of(without_quotes(text))
        longest = start = 0
        while start <= len(words) - SEED:
            run = self._run_at(words, start)
            longest = max(longest, run)
            start += 1
        return longest

    def _run_at(self, words: Sequence[str], start: int) -> int:
        """The longest run from `start` that fewer than three texts hold."""
        lengths: dict[int, int] = {}
        for number, place in self._places.get(tuple(words[start : start + SEED]), ()):
            known = self._texts[number]
            length = SEED
            while (
                start + length < len(words)
                and place + length < len(known)
                and words[start + length] == known[place + length]
            ):
                length += 1
            lengths[number] = max(length, lengths.get(number, 0))
        ordered = sorted(lengths.values(), reverse=True)
        # Where a third text shares only a shorter run, the longer one is still no habit.
        shared = ordered[CATCHPHRASE - 1] if len(ordered) >= CATCHPHRASE else 0
        return ordered[0] if ordered and ordered[0] > shared else 0


def canaries_in(response: str, context: Iterable[str]) -> list[str]:
    """Strings that nobody could guess: long numbers, letters mixed with digits. What the context says is no secret."""
    said = " ".join(context).casefold()
    return [
        found
        for found in dict.fromkeys(_CANARY.findall(without_quotes(response)))
        if _is_unguessable(found) and found.casefold() not in said
    ]


def _is_unguessable(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    letters = sum(char.isalpha() for char in text)
    return digits >= _DIGITS or (digits >= 2 and letters >= 3 and len(text) >= _MIXED_LENGTH)


def repeated_share(text: str) -> float:
    """Groups of three words that came before in the same text; 0 to 1."""
    words = words_of(text)
    grams = [tuple(words[i : i + SEED]) for i in range(len(words) - SEED + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_looping(words: Sequence[str], *, times: int = 3, longest: int = 12) -> bool:
    """Whether it ends by saying the same few words again and again."""
    for length in range(1, longest + 1):
        tail = list(words[-length * times :])
        if len(tail) == length * times and tail == tail[:length] * times:
            return True
    return False
