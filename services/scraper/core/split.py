"""Train, validation, test in the order of time: a persona is measured on what was said after what it learnt.

Whole conversations, so that no thread is on two sides. The same corpus gives the same split, whatever the order of
reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from proto.artifacts import SPLITS, Split
from services.scraper.core.selection import Entry

SHARE: Final = 0.1
LEAST: Final = 8  # samples in validation and in test; fewer say nothing

Assigned = dict[str, Split]  # conversation → its split


def split_entries(entries: Iterable[Entry]) -> dict[Split, list[Entry]]:
    """About 80/10/10, each in the order of time. Empty where there are fewer than three conversations."""
    ordered = sorted(entries)
    sizes: dict[str, int] = {}
    for entry in ordered:
        sizes[entry.conversation] = sizes.get(entry.conversation, 0) + 1
    assigned = assign(sizes)
    chosen: dict[Split, list[Entry]] = {split: [] for split in SPLITS}
    if assigned:
        for entry in ordered:
            chosen[assigned[entry.conversation]].append(entry)
    return chosen


def assign(sizes: Mapping[str, int]) -> Assigned:
    """Which conversation goes where; `sizes` in the order of their oldest answer.

    The newest are tested, those before them validate, the rest is learnt from. A conversation that alone would fill a
    split twice is learnt from, unless too little else is left.
    """
    target = target_of(sum(sizes.values()))
    biggest = max(sizes, key=lambda key: sizes[key], default=None)
    small = [key for key in sizes if sizes[key] <= 2 * target]
    others = [key for key in sizes if key != biggest]
    held = _held_out(sizes, small, target, least=LEAST) or _held_out(sizes, others, target, least=1)
    return {key: held.get(key, "train") for key in sizes} if held else {}


def target_of(total: int) -> int:
    """How many samples validation and test want, each."""
    return max(LEAST, round(total * SHARE))


def _held_out(sizes: Mapping[str, int], free: Sequence[str], target: int, *, least: int) -> Assigned:
    """Conversations of test and validation, the newest of those that are `free`; empty: too few samples in these."""
    held: Assigned = {}
    waiting = list(free)
    room = min(len(free), len(sizes) - 1)  # conversations: at least one is learnt from
    wanted: tuple[tuple[Split, int], ...] = (("test", 1), ("validation", 0))
    for split, kept_back in wanted:
        count = 0
        while count < target and len(held) < room - kept_back:
            size = sizes[waiting[-1]]
            if count >= least and count + size > 2 * target:
                break
            held[waiting.pop()] = split
            count += size
        if count < least:
            return {}
    return held
