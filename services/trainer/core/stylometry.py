"""How somebody writes, in numbers, and how far two heaps of text are apart.

Burrows's Delta (J. Burrows, "Delta: a measure of stylistic difference", Literary and Linguistic Computing 17, 2002)
over the most frequent words, which in any language are its function words, and over habits of punctuation, length,
emoji and casing.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, pstdev
from typing import Final

from proto.report import Style, StyleFeature

FUNCTION_WORDS: Final = 40
BUNDLE: Final = 10  # messages; a single one is too short to have habits
LEAST_MESSAGES: Final = 4
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_EMOJI: Final = re.compile(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|:[a-z0-9_+'-]{2,60}:|[:;=]-?[)(DPpO/|]")
_MARKS: Final = {
    ".": re.compile(r"(?<!\.)\.(?!\.)"),
    "...": re.compile(r"\.{2,}|…"),
    ",": re.compile(r"[,،、]"),
    "!": re.compile(r"[!！]"),
    "?": re.compile(r"[?？؟]"),
    "- or :": re.compile(r"[-–—:;]"),
    "( )": re.compile(r"[()\[\]]"),
    "quotes": re.compile(r"[\"“”«»`]"),
    "digits": re.compile(r"\d"),
}


def words_of(text: str) -> list[str]:
    """Lower-case words of any script."""
    return [word.lower() for word in _WORD.findall(text)]


def frequent_words(texts: Sequence[str], count: int = FUNCTION_WORDS) -> list[str]:
    """The most frequent words, ties in alphabetical order."""
    counted = Counter(word for text in texts for word in words_of(text))
    return sorted(counted, key=lambda word: (-counted[word], word))[:count]


def habits(texts: Sequence[str], frequent: Sequence[str]) -> dict[str, float]:
    """Rates of one heap. Marks and words per hundred words, shares of messages as 0 to 1."""
    joined = "\n".join(texts)
    counted = Counter(words_of(joined))
    total = max(1, counted.total())
    count = max(1, len(texts))
    found = {f"word “{word}”": 100 * counted[word] / total for word in frequent}
    found |= {f"mark {name}": 100 * len(mark.findall(joined)) / total for name, mark in _MARKS.items()}
    letters = sum(char.isalpha() for char in joined)
    return found | {
        "emoji": 100 * len(_EMOJI.findall(joined)) / total,
        "words in a message": total / count,
        "letters in a word": letters / total,
        "messages that begin small": _share(texts, lambda text: text[:1].islower()),
        "messages that end without a mark": _share(texts, lambda text: text[-1:].isalnum()),
        "messages without capitals": _share(texts, lambda text: text == text.lower()),
        "capitals": sum(char.isupper() for char in joined) / max(1, letters),
        "messages of several lines": _share(texts, lambda text: "\n" in text),
    }


def _share(texts: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(1 for text in texts if holds(text.strip())) / max(1, len(texts))


def compare(
    own: Sequence[str], generated: Sequence[str], others: Sequence[str], base: Sequence[str] = ()
) -> Style | None:
    """Generated answers beside the person's real messages and other people's. None: too little to compare."""
    if min(len(own), len(generated)) < LEAST_MESSAGES:
        return None
    frequent = frequent_words([*own, *others])
    scale = _scale([own, others], frequent)
    own_habits, generated_habits = habits(own, frequent), habits(generated, frequent)
    enough_others = len(others) >= LEAST_MESSAGES
    others_habits = habits(others, frequent) if enough_others else None
    return Style(
        to_own=delta(generated_habits, own_habits, scale),
        to_others=delta(generated_habits, others_habits, scale) if others_habits else None,
        base_to_own=delta(habits(base, frequent), own_habits, scale) if len(base) >= LEAST_MESSAGES else None,
        features=tuple(
            StyleFeature(
                name=name,
                own=own_habits[name],
                generated=generated_habits[name],
                others=others_habits[name] if others_habits else None,
            )
            for name in own_habits
            if name in scale
        ),
    )


def delta(one: Mapping[str, float], other: Mapping[str, float], scale: Mapping[str, float]) -> float:
    """Mean absolute difference in standard deviations; 0 is the same, about 1 a stranger."""
    return (
        fmean(abs(one[name] - other[name]) / deviation for name, deviation in scale.items()) if scale else 0.0
    )


def _scale(heaps: Sequence[Sequence[str]], frequent: Sequence[str]) -> dict[str, float]:
    """How much each habit varies from bundle to bundle; what never varies says nothing."""
    bundles = [
        habits(heap[start : start + BUNDLE], frequent)
        for heap in heaps
        for start in range(0, len(heap), BUNDLE)
        if len(heap[start : start + BUNDLE]) >= LEAST_MESSAGES
    ]
    if len(bundles) < 2:
        bundles = [habits([text], frequent) for heap in heaps for text in heap]
    deviations = {name: pstdev(bundle[name] for bundle in bundles) for name in bundles[0]}
    return {name: deviation for name, deviation in deviations.items() if deviation > 1e-9}
