"""Train, validation, test: whole conversations, chosen by hash, so that no thread is on both sides.

The same corpus and seed give the same split, whatever the order of reading.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from proto.artifacts import SPLITS, Split
from proto.conversation import Sample
from services.scraper.core.timestamps import ts_key

SHARE: Final = 0.1
LEAST: Final = 8  # samples in validation and in test; fewer say nothing

Groups = Mapping[str, Sequence[Sample]]  # conversation key → its samples


def split_samples(groups: Groups, seed: int) -> dict[Split, list[Sample]]:
    """About 80/10/10. Each split is in the order of channel and time."""
    chosen: dict[Split, list[Sample]] = {split: [] for split in SPLITS}
    for key, split in assign({key: len(samples) for key, samples in groups.items()}, seed).items():
        chosen[split] += groups[key]
    if min(len(chosen["validation"]), len(chosen["test"])) < LEAST:
        everything = [sample for samples in groups.values() for sample in samples]
        chosen = _by_time(everything)  # too few conversations to keep apart: the newest are held out
    return {split: sorted(chosen[split], key=_place) for split in SPLITS}


def assign(sizes: Mapping[str, int], seed: int) -> dict[str, Split]:
    """Which conversation goes where. A conversation that alone would fill a split twice is trained on."""
    order = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    target = target_of(sum(sizes.values()))
    filled: dict[Split, int] = {"validation": 0, "test": 0}
    assigned: dict[str, Split] = {}
    for key in order:
        assigned[key] = "train"
        for split, count in filled.items():
            if count < target and count + sizes[key] <= 2 * target:
                assigned[key] = split
                filled[split] += sizes[key]
                break
    return assigned


def target_of(total: int) -> int:
    """How many samples validation and test want, each."""
    return max(LEAST, round(total * SHARE))


def _by_time(samples: Sequence[Sample]) -> dict[Split, list[Sample]]:
    ordered = sorted(samples, key=lambda sample: (ts_key(sample.ts), sample.channel_id))
    size = min(target_of(len(ordered)), len(ordered) // 3)
    border = len(ordered) - 2 * size
    return {
        "train": ordered[:border],
        "validation": ordered[border : border + size],
        "test": ordered[border + size :],
    }


def _place(sample: Sample) -> tuple[str, str]:
    return sample.channel_id, ts_key(sample.ts)
