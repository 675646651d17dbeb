"""All public channels side by side, and how long it will take."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.scraper.adapters.slack_history import PublicChannel, SlackHistory
from services.scraper.adapters.work import Work
from services.scraper.core.budget import HISTORY, REPLIES
from services.scraper.core.eta import ChannelSpan, eta_s, remaining_requests
from services.scraper.core.paging import Progress
from services.scraper.core.timestamps import seconds_of
from services.scraper.handlers.api_channel import ChannelReading, Scope
from services.scraper.handlers.api_pages import PageStore

log = logging.getLogger(__name__)


@dataclass
class Reading:
    """One holder's way through the channels. `complete`: those whose every message and reply was read."""

    history: SlackHistory
    store: PageStore
    scope: Scope
    names: Mapping[str, str] = field(repr=False)
    work: Work
    channels_at_once: int
    ends_s: float  # Unix seconds: nothing is newer
    complete: set[str] = field(default_factory=set[str])
    _spans: list[ChannelSpan] = field(default_factory=list[ChannelSpan])

    async def read_all(self, channels: list[PublicChannel], progress: dict[str, Progress]) -> None:
        """Every channel, several side by side; those that Slack keeps from us are skipped and counted."""
        limit = asyncio.Semaphore(self.channels_at_once)
        skipped: Counter[str] = Counter()
        self.work.channel_count, self.work.forecast_s = len(channels), self.forecast_s

        async def read(reading: ChannelReading) -> None:
            async with limit:
                await reading.read()
            if reading.refused is None:
                self.complete.add(reading.channel.channel_id)
            else:
                skipped[reading.refused] += 1
            self.work.channels_done += 1

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self.store.run())
            async with asyncio.TaskGroup() as readers:
                for channel in channels:
                    if channel.is_archived and not channel.is_member:  # nobody joins those any more
                        skipped["is_archived"] += 1
                        self.work.channels_done += 1
                        continue
                    readers.create_task(read(self._of(channel, progress)))
            writing.cancel()
        if skipped:
            log.info("channels skipped", extra={"count": skipped.total(), "reasons": dict(skipped)})

    def _of(self, channel: PublicChannel, progress: dict[str, Progress]) -> ChannelReading:
        so_far = progress.setdefault(channel.channel_id, Progress())
        oldest, latest = self.scope.oldest(channel.channel_id), self.scope.window.latest
        span = ChannelSpan(
            begins_s=max(channel.created_s, seconds_of(oldest) if oldest else 0.0),
            ends_s=seconds_of(latest) if latest else self.ends_s,
            covered_to_s=seconds_of(so_far.latest) if so_far.latest else None,
            pages=so_far.pages,
            done=so_far.done,
        )
        self._spans.append(span)
        return ChannelReading(channel, self.scope, self.history, self.store, self.names, so_far, span)

    def forecast_s(self) -> float:
        """Seconds that the remaining calls take at the pace in force."""
        calls = self.history.calls
        self.work.slow_mode = calls.is_slow
        pages, threads = remaining_requests(self._spans, self._calls_per_thread())
        return eta_s(
            {HISTORY: pages, REPLIES: threads},
            {HISTORY: calls.interval_s(HISTORY), REPLIES: calls.interval_s(REPLIES)},
        )

    def _calls_per_thread(self) -> float:
        """More than one where 15 a page is all there is; the root takes a place on each."""
        size = self.history.calls.page_size(REPLIES) - 1
        threads = sum(span.threads_found for span in self._spans)
        replies = sum(span.replies_found for span in self._spans)
        return max(1.0, replies / threads / size) if threads else 1.0
