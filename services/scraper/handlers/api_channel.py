"""One channel through the API: its history from the newest message back, beside it the threads found there.

Two calls are under way at most, and each answer lies safe before the next call: a kill repeats no more than those.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from doppel.slack.client import SlackRefused
from services.scraper.adapters.page_lines import lines_of
from services.scraper.adapters.slack_calls import is_skippable
from services.scraper.adapters.slack_history import PublicChannel, SlackHistory
from services.scraper.core.eta import ChannelSpan
from services.scraper.core.incremental import ApiState, ChannelState, is_unchanged, living_threads
from services.scraper.core.paging import (
    CHANNEL,
    Progress,
    StoredPage,
    Thread,
    broadcast_root,
    newest_ts,
    oldest_ts,
    thread_of,
)
from services.scraper.core.source import TsWindow
from services.scraper.core.timestamps import parse_ts, seconds_of, ts_key
from services.scraper.handlers.api_pages import PageStore

IN_FLIGHT: Final = 2
FEW: Final = 40  # messages that are read in passing; more go to a thread


@dataclass(frozen=True)
class Scope:
    """What is read of every channel."""

    window: TsWindow
    since_ts: str | None = None  # of channels that the last reading knows: from here on
    state: ApiState | None = None

    def known(self, channel_id: str) -> ChannelState | None:
        """What the last reading left of that channel, where this one goes on from it."""
        return self.state.channels.get(channel_id) if self.state and self.since_ts else None

    def since(self, channel_id: str) -> str | None:
        """The point after which that channel is read again; None: it is read as if for the first time."""
        return self.since_ts if self.known(channel_id) is not None else None

    def oldest(self, channel_id: str) -> str | None:
        """Where the reading of its history ends."""
        return self.since(channel_id) or self.window.oldest


@dataclass
class ChannelReading:
    """Reads what is not stored yet. `refused` says why Slack kept the rest from us."""

    channel: PublicChannel
    scope: Scope
    history: SlackHistory
    store: PageStore
    names: Mapping[str, str] = field(repr=False)
    progress: Progress
    span: ChannelSpan
    refused: str | None = None
    _threads: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue[str | None]())
    _asked: set[str] = field(default_factory=set[str])

    async def read(self) -> None:
        """To the end. Raises SlackRefused where it concerns more than this channel, and what storing raises."""
        channel_id = self.channel.channel_id
        known, since = self.scope.known(channel_id), self.scope.since(channel_id)
        if known and since:
            for root_ts in living_threads(known, since):
                self._ask(root_ts)
        for thread in self.progress.threads.values():
            self._consider(thread)
        if not await self._joined():
            self.span.done, self.span.threads_open = True, 0
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._first())
            for _ in range(IN_FLIGHT - 1):
                group.create_task(self._drain())

    async def _first(self) -> None:
        try:
            await self._read_history()
        except SlackRefused as error:
            self._give_up(error)
        self.span.done = True
        for _ in range(IN_FLIGHT):
            self._threads.put_nowait(None)
        await self._drain()

    async def _drain(self) -> None:
        while (root_ts := await self._threads.get()) is not None:
            if self.refused is None:
                try:
                    await self._read_thread(root_ts)
                except SlackRefused as error:
                    self._give_up(error)
            self.span.threads_open -= 1

    async def _joined(self) -> bool:
        """Be a member, where there is anything left to read."""
        has_work = not self.progress.done or not self._threads.empty()
        if self.channel.is_member or self.channel.is_archived or not has_work:
            return True
        try:
            await self.history.join(self.channel.channel_id)
        except SlackRefused as error:
            self._give_up(error)
        return self.refused is None

    async def _read_history(self) -> None:
        channel_id, progress, scope = self.channel.channel_id, self.progress, self.scope
        oldest, since = scope.oldest(channel_id), scope.since(channel_id)
        while not progress.done:
            latest, inclusive = progress.latest, False
            if progress.pages == 0:
                latest, inclusive = scope.window.latest, True
            raws, has_more = await self._history_page(oldest, latest, inclusive=inclusive)
            here = oldest_ts(raws)
            page = StoredPage(
                channel_id,
                CHANNEL,
                progress.pages,
                here or latest,
                is_last=not has_more or here is None,
                threads=_threads_in(raws, since),
            )
            await self._save(page, raws)
            self.span.pages += 1
            if here is not None:
                self.span.covered_to_s = seconds_of(here)
            for thread in page.threads:
                self._consider(thread)

    async def _history_page(
        self, oldest: str | None, latest: str | None, *, inclusive: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        channel_id = self.channel.channel_id
        try:
            return await self.history.history(channel_id, oldest, latest, inclusive=inclusive)
        except SlackRefused as error:
            if error.reason != "not_in_channel" or self.channel.is_archived:
                raise
        await self.history.join(channel_id)  # it was left a moment ago
        return await self.history.history(channel_id, oldest, latest, inclusive=inclusive)

    def _consider(self, thread: Thread) -> None:
        """Ask for a thread, unless it is known to stand as it did."""
        known, state = self.scope.known(self.channel.channel_id), self.scope.state
        if state is None or not is_unchanged(thread, known, state.read_at):
            self._ask(thread.root_ts, thread.reply_count)

    def _ask(self, root_ts: str, replies: int = 1) -> None:
        if root_ts in self._asked:
            return
        self._asked.add(root_ts)
        self.span.threads_found += 1
        self.span.replies_found += replies
        before = self.progress.read.get(root_ts)
        if before is None or not before.is_last:
            self.span.threads_open += 1
            self._threads.put_nowait(root_ts)

    async def _read_thread(self, root_ts: str) -> None:
        channel_id, before = self.channel.channel_id, self.progress.read.get(root_ts)
        since = self.scope.since(channel_id)
        oldest = since if since and ts_key(root_ts) <= ts_key(since) else None
        number = 0
        if before is not None:
            oldest, number = before.next_ts, before.page + 1
        while True:
            try:
                raws, has_more = await self.history.replies(channel_id, root_ts, oldest)
            except SlackRefused as error:
                if error.reason != "thread_not_found":
                    raise
                gone = StoredPage(channel_id, root_ts, number, oldest, is_last=True, is_gone=True)
                return await self._save(gone, [])
            newest = newest_ts(raw for raw in raws if parse_ts(raw.get("ts")) != root_ts)
            goes_on = newest is not None and (oldest is None or ts_key(newest) > ts_key(oldest))
            page = StoredPage(
                channel_id,
                root_ts,
                number,
                newest or oldest,
                is_last=not (has_more and goes_on),
                threads=_root_in(raws, root_ts),
            )
            await self._save(page, raws)
            if page.is_last:
                return None
            oldest, number = newest, number + 1

    async def _save(self, page: StoredPage, raws: list[dict[str, Any]]) -> None:
        args = (self._unread(page, raws), page.channel_id, self.names, self.scope.window)
        if len(raws) > FEW:
            lines, count = await asyncio.to_thread(lines_of, *args)
        else:
            lines, count = lines_of(*args)
        saved = replace(page, message_count=count)
        await self.store.save(saved, lines)
        self.progress.add(saved)

    def _unread(self, page: StoredPage, raws: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Without the root, which comes first in each answer, where the history has just shown it."""
        found = self.progress.threads.get(page.root_ts)
        if found is None or found.reply_count == 0:
            return raws
        return [raw for raw in raws if parse_ts(raw.get("ts")) != page.root_ts]

    def _give_up(self, error: SlackRefused) -> None:
        if not is_skippable(error):
            raise error
        self.refused = error.reason


def _threads_in(raws: list[dict[str, Any]], since: str | None) -> tuple[Thread, ...]:
    """Threads by their roots; where older roots are not read, also by replies that the channel shows."""
    found = {thread.root_ts: thread for raw in raws if (thread := thread_of(raw))}
    if since is not None:
        for raw in raws:
            root_ts = broadcast_root(raw)
            if root_ts and root_ts not in found and ts_key(root_ts) <= ts_key(since):
                found[root_ts] = Thread(root_ts, "", 0)
    return tuple(found.values())


def _root_in(raws: list[dict[str, Any]], root_ts: str) -> tuple[Thread, ...]:
    """The root's counters; a root without replies has none."""
    for raw in raws:
        if parse_ts(raw.get("ts")) == root_ts:
            return (thread_of(raw) or Thread(root_ts, "", 0),)
    return ()
