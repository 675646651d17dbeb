"""Who wrote this? The matrix as a table, and bundles of ten messages before a classifier."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bench.voice_data import Voice
from doppel.basemodel.prompt import PromptEncoder
from proto.conversation import split_parts

BUNDLE: Final = 10
DRAWS: Final = 40  # so many bundles are drawn at random from each person's messages


def bundles_right(texts: Mapping[int, Sequence[str]], model: Any, cut: Callable[[str], str]) -> float:
    """The share of bundles of ten that the classifier gives to the right person."""
    rng = np.random.default_rng(0)
    right = total = 0
    for person, written in texts.items():
        messages = [cut(part) for text in written for part in split_parts(text)]
        if not messages:
            continue
        scores = model.predict_log_proba(messages)  # [messages, people]
        for _ in range(DRAWS):
            chosen = rng.choice(len(messages), size=min(BUNDLE, len(messages)), replace=False)
            right += int(scores[chosen].mean(axis=0).argmax() == person)
            total += 1
    return right / max(1, total)


def cutter(encoder: PromptEncoder, tokens: int) -> Callable[[str], str]:
    """Real messages are judged as long as generated ones can be."""
    return lambda text: encoder.decode(encoder.encode_text(text)[:tokens]).strip() or "."


def print_matrix(voices: Sequence[Voice], base: Sequence[float], matrix: Sequence[Sequence[float]]) -> None:
    """Rows are held-out messages of a person, columns adapters; the lowest of a row is marked."""
    print(f"{'nats a token':>16} {'base':>6} " + " ".join(f"{voice.name[:7]:>7}" for voice in voices))
    for person, voice in enumerate(voices):
        row = [line[person] for line in matrix]
        cells = (f"{loss:6.3f}{'*' if loss == min(row) else ' '}" for loss in row)
        print(f"{voice.name[:16]:>16} {base[person]:6.3f} " + " ".join(cells))
