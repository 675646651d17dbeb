"""Sorts and joins the messages of a corpus on disk, so that memory does not grow with the history. Blocking.

SQLite is the sorter: one row per (channel, ts), the better of two copies wins, an index keeps the corpus's order.
The file is scratch: no journal, nothing survives the scrape.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from proto.conversation import Message
from services.scraper.core.timestamps import ts_key

BATCH: Final = 2_000
_CACHE_KIB: Final = 32 * 1024
_TABLES: Final = """
create table said (channel text, ts text, thread text, rank text, body blob, primary key (channel, ts)) without rowid;
create index said_in_order on said (channel, thread, ts);
create table gone (channel text, ts text, primary key (channel, ts)) without rowid;
"""


class Gathering:
    """Messages come in any order, more than once; they leave by channel, thread and time, each once."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = off")
        self._database.execute("pragma synchronous = off")
        self._database.execute(f"pragma cache_size = -{_CACHE_KIB}")
        self._database.executescript(_TABLES)
        self._batch: list[tuple[str, str, str, str, bytes]] = []

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close; the file is its folder's to remove."""
        self._database.close()

    def add(self, message: Message, edited_ts: str = "") -> None:
        """Take one message. Of two copies the later edited one stays, or else the one that knows its thread."""
        key = ts_key(message.ts)
        thread = ts_key(message.thread_ts) if message.thread_ts else key
        rank = f"{edited_ts}/{int(message.edited)}{int(message.thread_ts is not None)}"
        body = message.model_dump_json(exclude_none=True).encode()
        self._batch.append((message.channel_id, key, thread, rank, body))
        if len(self._batch) >= BATCH:
            self._flush()

    def remove(self, channel_id: str, ts: str) -> None:
        """No copy of that message stays, whenever it came or comes."""
        self._database.execute("insert or ignore into gone values (?, ?)", (channel_id, ts_key(ts)))

    def channels(self) -> list[str]:
        """Channels that hold messages, sorted."""
        self._flush()
        return [
            row[0] for row in self._database.execute("select distinct channel from said order by channel")
        ]

    def lines(self, channel_id: str) -> Iterator[tuple[str, bytes]]:
        """``(ts key, JSON)`` of one channel in the corpus's order."""
        self._flush()
        yield from self._database.execute(
            """select ts, body from said where channel = ?
               and not exists (select 1 from gone where gone.channel = said.channel and gone.ts = said.ts)
               order by thread, ts""",
            (channel_id,),
        )

    def _flush(self) -> None:
        if not self._batch:
            return
        self._database.execute("begin")
        self._database.executemany(
            """insert into said values (?, ?, ?, ?, ?) on conflict (channel, ts) do update set
               thread = excluded.thread, rank = excluded.rank, body = excluded.body where excluded.rank > rank""",
            self._batch,
        )
        self._database.execute("commit")
        self._batch.clear()
