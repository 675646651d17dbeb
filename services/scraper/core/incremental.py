"""Reading only what is new: what the last reading left behind, what of it may have changed, what of it stays.

The next reading begins `recheck_days` before the last one began. What lies after that point is read again, so that
edits show and what was deleted is missed; what lies before stays as it was. Three things are known to spare calls:

* a thread in that span whose counters did not move is not asked again, unless its newest reply was so young at the last
  reading that it may have been edited since (an edit moves no counter);
* a thread older than that point is asked only where its last known reply lies after it;
* a reply shown in the channel as well names its thread, whatever the thread's age.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime, Field

from proto.body import Body
from proto.conversation import Message
from services.scraper.core.paging import Progress, Thread
from services.scraper.core.timestamps import ts_key, ts_of

CLOCK_SKEW: Final = timedelta(minutes=5)  # between the database's clock and Slack's
EDITED_WITHIN: Final = timedelta(days=7)  # after that, people hardly ever touch a reply


class ChannelState(Body):
    """One channel that was read to its end: root → (latest reply, number of replies)."""

    threads: dict[str, tuple[str, int]] = Field(default={})


class ApiState(Body):
    """What a reading of a whole workspace leaves for the next one; lies beside its corpus."""

    read_at: AwareDatetime
    channels: dict[str, ChannelState] = Field(default={})


def recheck_from(read_at: datetime, recheck_days: float) -> str:
    """The point after which everything is read again."""
    return ts_of(read_at - timedelta(days=recheck_days) - CLOCK_SKEW)


def is_unchanged(thread: Thread, known: ChannelState | None, read_at: datetime) -> bool:
    """Need this thread not be asked again?"""
    before = known.threads.get(thread.root_ts) if known else None
    if before is None or before != (thread.latest_reply, thread.reply_count) or not thread.latest_reply:
        return False
    return ts_key(thread.latest_reply) < ts_key(ts_of(read_at - EDITED_WITHIN))


def living_threads(known: ChannelState, since_ts: str) -> list[str]:
    """Roots before that point under which somebody wrote after it."""
    since = ts_key(since_ts)
    return sorted(
        root_ts
        for root_ts, (latest_reply, _) in known.threads.items()
        if ts_key(root_ts) <= since and latest_reply and ts_key(latest_reply) > since
    )


def state_after(progress: Progress, known: ChannelState | None, since_ts: str | None) -> ChannelState:
    """What is known of a channel once it was read to its end."""
    threads: dict[str, tuple[str, int]] = {}
    if known and since_ts:
        since = ts_key(since_ts)
        threads = {root: counters for root, counters in known.threads.items() if ts_key(root) <= since}
    for thread in progress.threads.values():
        threads[thread.root_ts] = (thread.latest_reply, thread.reply_count)
    for root_ts, page in progress.read.items():
        if page.is_gone:
            threads.pop(root_ts, None)
        for thread in page.threads:
            threads[root_ts] = (thread.latest_reply, thread.reply_count)
    return ChannelState(threads=dict(sorted(threads.items())))


@dataclass(frozen=True)
class Reread:
    """What was read again of one channel."""

    since_ts: str
    progress: Progress

    def stays(self, message: Message) -> bool:
        """Does that message of the last corpus stand as it is? Otherwise what was read now speaks for it."""
        since, root_ts = ts_key(self.since_ts), message.thread_ts or message.ts
        asked = self.progress.read.get(root_ts)
        if asked is not None and asked.is_gone:
            return False
        if ts_key(message.ts) <= since:
            return True
        if root_ts == message.ts or asked is not None:
            return False
        return ts_key(root_ts) <= since or root_ts in self.progress.threads


def stays(message: Message, reread: Mapping[str, Reread], untouched: Collection[str]) -> bool:
    """Is a message of the last corpus part of the new one? Of channels that are gone or opted out nothing is."""
    if message.channel_id in untouched:
        return True
    found = reread.get(message.channel_id)
    return found is not None and found.stays(message)
