"""How long a reading through the API will take: requests that remain, at the pace in force.

Histories are read from the newest message backwards, so the share of a channel's time that is covered tells how many
pages are left; channels not begun count as the average of the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass
class ChannelSpan:
    """How far one channel is. Instants are Unix seconds."""

    begins_s: float  # nothing is read before: made then, or the window's start
    ends_s: float
    covered_to_s: float | None = None  # the oldest message read so far
    pages: int = 0
    threads_found: int = 0
    replies_found: int = 0
    threads_open: int = 0  # known and not read to their end
    done: bool = False

    @property
    def share(self) -> float:
        """How much of its time is covered."""
        if self.done:
            return 1.0
        if self.covered_to_s is None or self.ends_s <= self.begins_s:
            return 0.0
        return min(max((self.ends_s - self.covered_to_s) / (self.ends_s - self.begins_s), 0.0), 1.0)


def remaining_requests(channels: Iterable[ChannelSpan], calls_per_thread: float = 1.0) -> tuple[float, float]:
    """Pages of histories, and calls for threads, that are still to be made."""
    spans = list(channels)
    begun = [span for span in spans if span.pages > 0]
    pages_each = sum(_pages_in_all(span) for span in begun) / len(begun) if begun else 1.0
    pages = sum(span.pages for span in begun)
    threads_a_page = sum(span.threads_found for span in begun) / pages if pages else 0.0
    unread = 0.0
    for span in spans:
        if span.done:
            continue
        unread += max(_pages_in_all(span) - span.pages, 1.0) if span.pages else pages_each
    threads = sum(span.threads_open for span in spans) + unread * threads_a_page
    return unread, threads * calls_per_thread


def eta_s(remaining: Mapping[str, float], intervals_s: Mapping[str, float]) -> float:
    """Seconds until the last call: methods are paced side by side, so the slowest counts."""
    return max((count * intervals_s[method] for method, count in remaining.items()), default=0.0)


def _pages_in_all(span: ChannelSpan) -> float:
    if span.done or span.share <= 0.0:
        return float(max(span.pages, 1))
    return span.pages / span.share
