"""Which answers a dataset takes: the newest, each said once, within the caps of a channel and of the whole."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.scraper.core.near_duplicates import Seen

SLACK: Final = 2  # times the cap are held, so that near-duplicates leave no hole


class Entry(NamedTuple):
    """Where a candidate lies, and all that choosing needs. Compares in the order of time."""

    key: str  # `ts_key` of its first message
    channel_id: str
    conversation: str
    message_count: int
    offset: int
    size: int


@dataclass
class Newest:
    """The newest entries; older ones leave above the limit, counted in messages."""

    limit: int
    dropped: int = 0
    entries: list[Entry] = field(default_factory=list[Entry])

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries in; twice the limit is held at most."""
        for entry in entries:
            self.entries.append(entry)
            if len(self.entries) > 2 * self.limit:
                self.prune()

    def prune(self) -> None:
        """Keep `limit` of them."""
        if len(self.entries) > self.limit:
            kept = heapq.nlargest(self.limit, self.entries)
            total = sum(entry.message_count for entry in self.entries)
            self.dropped += total - sum(entry.message_count for entry in kept)
            self.entries = kept


def select(
    entries: Iterable[Entry],
    answer_of: Callable[[Entry], str],
    *,
    max_samples: int,
    channel_samples: int,
) -> tuple[list[Entry], Counter[str]]:
    """The newest first, until the caps are reached; and what was left out, in messages by reason.

    `answer_of` gives an entry's answer as it would be learnt, or nothing where nothing is left of it.
    """
    seen = Seen()
    chosen: list[Entry] = []
    dropped: Counter[str] = Counter()
    of_channel: Counter[str] = Counter()
    for entry in sorted(entries, reverse=True):
        if len(chosen) >= max_samples:
            dropped["over_cap"] += entry.message_count
        elif of_channel[entry.channel_id] >= channel_samples:
            dropped["over_channel_cap"] += entry.message_count
        elif not (answer := answer_of(entry)):
            dropped["only_private"] += entry.message_count
        elif not seen.add(answer):
            dropped["near_duplicate"] += entry.message_count
        else:
            of_channel[entry.channel_id] += 1
            chosen.append(entry)
    return chosen, dropped
