"""Where the reading of one channel stands: what is stored, and what is to be asked for next.

Durable state is timestamps, never Slack's cursors: those run out. A channel's history is read backwards (`next_ts` is
the next page's exclusive `latest`), a thread forwards (`next_ts` is the next page's exclusive `oldest`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from services.scraper.core.timestamps import parse_ts, ts_key

CHANNEL = ""  # the `root_ts` of a channel's own history


class Thread(NamedTuple):
    """What Slack says of a thread at its root."""

    root_ts: str
    latest_reply: str
    reply_count: int


@dataclass(frozen=True)
class StoredPage:
    """One answer that lies in the bucket. `key` is None where nobody's words were in it."""

    channel_id: str
    root_ts: str
    page: int
    next_ts: str | None
    is_last: bool
    message_count: int = 0
    threads: tuple[Thread, ...] = ()
    is_gone: bool = False  # the thread is no more
    key: str | None = None
    sha256: str | None = None


@dataclass
class Progress:
    """One channel's stored pages, put in order."""

    pages: int = 0  # of its history
    latest: str | None = None  # the next page of the history lies before
    done: bool = False  # its history; threads may be open
    threads: dict[str, Thread] = field(default_factory=dict[str, Thread])  # found in its history
    read: dict[str, StoredPage] = field(default_factory=dict[str, StoredPage])  # root → its last page so far

    def add(self, page: StoredPage) -> None:
        """One page more; pages of one chain come in order."""
        if page.root_ts == CHANNEL:
            self.pages, self.latest, self.done = page.page + 1, page.next_ts, page.is_last
            self.threads |= {thread.root_ts: thread for thread in page.threads}
        else:
            self.read[page.root_ts] = page


def progress_of(pages: Iterable[StoredPage]) -> dict[str, Progress]:
    """Channel → how far it is."""
    found: dict[str, Progress] = {}
    for page in sorted(pages, key=lambda page: (page.channel_id, page.root_ts, page.page)):
        found.setdefault(page.channel_id, Progress()).add(page)
    return found


def thread_of(raw: dict[str, Any]) -> Thread | None:
    """The thread whose root this is; None where nobody replied."""
    ts, count = parse_ts(raw.get("ts")), raw.get("reply_count")
    if ts is None or isinstance(count, bool) or not isinstance(count, int) or count < 1:
        return None
    if (parse_ts(raw.get("thread_ts")) or ts) != ts:
        return None
    return Thread(ts, parse_ts(raw.get("latest_reply")) or "", count)


def broadcast_root(raw: dict[str, Any]) -> str | None:
    """The root of the thread of which this is a reply that the history shows too."""
    ts, root_ts = parse_ts(raw.get("ts")), parse_ts(raw.get("thread_ts"))
    return root_ts if ts and root_ts and root_ts != ts else None


def objects_in(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The list of that name; what is no object is left out."""
    found = answer.get(name)
    if not isinstance(found, list):
        return []
    return [cast("dict[str, Any]", each) for each in cast("list[Any]", found) if isinstance(each, dict)]


def oldest_ts(messages: Iterable[dict[str, Any]]) -> str | None:
    """The earliest timestamp among them."""
    return min((ts for raw in messages if (ts := parse_ts(raw.get("ts")))), key=ts_key, default=None)


def newest_ts(messages: Iterable[dict[str, Any]]) -> str | None:
    """The latest."""
    return max((ts for raw in messages if (ts := parse_ts(raw.get("ts")))), key=ts_key, default=None)
