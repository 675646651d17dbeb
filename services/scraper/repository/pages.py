"""What was read through the API so far: stored answers, and what the next reading starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.errors import LeaseLost
from services.scraper.core.paging import StoredPage, Thread
from services.scraper.repository.rows import Baseline, Claim

_BASELINE: Final = """select c.corpus_id, c.prefix, c.manifest_sha256, a.object_key, a.sha256
    from scraper.corpora c join scraper.api_states a using (corpus_id)"""


@dataclass(frozen=True)
class Pages:
    """Tables ``pages``, ``readings``, ``api_states``."""

    database: Database

    async def pages(self, request_id: UUID) -> list[StoredPage]:
        """Everything stored for a scrape."""
        rows = await self.database.fetch("select * from scraper.pages where request_id = $1", request_id)
        return [_page(row) for row in rows]

    async def save_pages(self, claim: Claim, pages: Sequence[StoredPage]) -> None:
        """Name what lies in the bucket. The same pages may be saved again. Raises LeaseLost."""
        written = await self.database.execute(
            """insert into scraper.pages (request_id, channel_id, root_ts, page, fence, next_ts, is_last, is_gone,
                   message_count, threads, object_key, sha256)
               select s.request_id, p.channel_id, p.root_ts, p.page, s.fence, p.next_ts, p.is_last, p.is_gone,
                   p.message_count, p.threads, p.object_key, p.sha256
               from scraper.scrapes s, jsonb_to_recordset($3) as p(channel_id text, root_ts text, page int,
                   next_ts text, is_last boolean, is_gone boolean, message_count int, threads jsonb,
                   object_key text, sha256 text)
               where s.request_id = $1 and s.fence = $2 and s.state = 'running'
               on conflict (request_id, channel_id, root_ts, page) do update set fence = excluded.fence,
                   next_ts = excluded.next_ts, is_last = excluded.is_last, is_gone = excluded.is_gone,
                   message_count = excluded.message_count, threads = excluded.threads,
                   object_key = excluded.object_key, sha256 = excluded.sha256""",
            claim.request_id,
            claim.fence,
            [_row(page) for page in pages],
        )
        if written.endswith(" 0"):
            raise LeaseLost(f"scrape {claim.request_id}")

    async def begin_reading(
        self, claim: Claim, baseline: UUID | None, since_ts: str | None
    ) -> tuple[UUID | None, str | None]:
        """Decide what the reading starts from; what an earlier holder decided stands."""
        row = await self.database.fetchrow(
            """insert into scraper.readings (request_id, baseline, since_ts) values ($1, $2, $3)
               on conflict (request_id) do update set request_id = excluded.request_id
               returning baseline, since_ts""",
            claim.request_id,
            baseline,
            since_ts,
        )
        assert row is not None
        return row["baseline"], row["since_ts"]

    async def newest_baseline(self, team_id: str) -> Baseline | None:
        """The newest whole reading of that workspace."""
        row = await self.database.fetchrow(
            f"{_BASELINE} where c.team_id = $1 and c.source = 'api' order by c.created_at desc limit 1",
            team_id,
        )
        return _baseline(row)

    async def baseline(self, corpus_id: UUID) -> Baseline | None:
        """The one that was decided on."""
        row = await self.database.fetchrow(f"{_BASELINE} where c.corpus_id = $1", corpus_id)
        return _baseline(row)

    async def save_state(self, corpus_id: UUID, key: str, sha256: str) -> None:
        """Name the state beside a corpus. It counts once the corpus's own row is there."""
        await self.database.execute(
            """insert into scraper.api_states (corpus_id, object_key, sha256) values ($1, $2, $3)
               on conflict (corpus_id) do update set object_key = excluded.object_key, sha256 = excluded.sha256""",
            corpus_id,
            key,
            sha256,
        )

    async def left_objects(self, team_id: str, but: UUID) -> list[str]:
        """Objects of readings that ended, finished or not: nobody will read them again."""
        rows = await self.database.fetch(
            """select distinct p.object_key from scraper.pages p join scraper.scrapes s using (request_id)
               where s.team_id = $1 and s.request_id <> $2 and s.state <> 'running' and p.object_key is not null
               limit 20000""",
            team_id,
            but,
        )
        return [row["object_key"] for row in rows]

    async def forget_left(self, team_id: str, but: UUID, keys: Sequence[str]) -> None:
        """Their rows, once the objects are gone."""
        await self.database.execute(
            """delete from scraper.pages p using scraper.scrapes s
               where p.request_id = s.request_id and s.team_id = $1 and s.request_id <> $2
               and s.state <> 'running' and (p.object_key is null or p.object_key = any($3))""",
            team_id,
            but,
            list(keys),
        )


def _row(page: StoredPage) -> dict[str, Any]:
    return {
        "channel_id": page.channel_id,
        "root_ts": page.root_ts,
        "page": page.page,
        "next_ts": page.next_ts,
        "is_last": page.is_last,
        "is_gone": page.is_gone,
        "message_count": page.message_count,
        "threads": [list(thread) for thread in page.threads],
        "object_key": page.key,
        "sha256": page.sha256,
    }


def _page(row: asyncpg.Record) -> StoredPage:
    return StoredPage(
        channel_id=row["channel_id"],
        root_ts=row["root_ts"],
        page=row["page"],
        next_ts=row["next_ts"],
        is_last=row["is_last"],
        is_gone=row["is_gone"],
        message_count=row["message_count"],
        threads=tuple(Thread(*each) for each in row["threads"]),
        key=row["object_key"],
        sha256=row["sha256"],
    )


def _baseline(row: asyncpg.Record | None) -> Baseline | None:
    if row is None:
        return None
    return Baseline(row["corpus_id"], row["prefix"], row["manifest_sha256"], row["object_key"], row["sha256"])
