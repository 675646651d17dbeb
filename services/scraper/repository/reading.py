"""What a reading needs: the token, the person's word, cursors, and the rate budget that all replicas share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from doppel.database import Database
from doppel.migrate import expected_migrations
from proto.errors import LeaseLost
from services.scraper.repository.rows import Claim, Cursor, Installation


@dataclass(frozen=True)
class Reading:
    """Tables ``channel_cursors`` and ``budgets``; ``installations`` and ``consents_now`` of the gateway."""

    database: Database

    async def check_schema(self) -> None:
        """Raise unless this checkout's migrations are applied."""
        rows = await self.database.fetch("select name from doppel.schema_migrations")
        missing = expected_migrations() - {row["name"] for row in rows}
        if missing:
            raise asyncpg.UndefinedTableError("migrations are missing; run `doppel db migrate`")

    async def has_consent(self, team_id: str, user_id: str) -> bool:
        """Is the newest word of that person a yes?"""
        return bool(
            await self.database.fetchval(
                "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
                team_id,
                user_id,
            )
        )

    async def installation(self, team_id: str) -> Installation | None:
        """The workspace's living installation."""
        row = await self.database.fetchrow(
            "select bot_token, enterprise_id from gateway.installations where team_id = $1 and state = 'active'",
            team_id,
        )
        return Installation(row["bot_token"], row["enterprise_id"]) if row else None

    async def cursors(self, request_id: UUID) -> dict[str, Cursor]:
        """How far each channel is."""
        rows = await self.database.fetch(
            "select channel_id, page, latest_ts, done, shards from scraper.channel_cursors where request_id = $1",
            request_id,
        )
        return {
            row["channel_id"]: Cursor(
                row["channel_id"], row["page"], row["latest_ts"], row["done"], tuple(row["shards"])
            )
            for row in rows
        }

    async def save_page(self, claim: Claim, cursor: Cursor, new_shards: Sequence[Mapping[str, Any]]) -> None:
        """One page more lies in the bucket. Raises LeaseLost."""
        row = await self.database.fetchrow(
            """insert into scraper.channel_cursors as c
                   (request_id, channel_id, fence, page, latest_ts, done, shards)
               select request_id, $3, fence, $4, $5, $6, $7 from scraper.scrapes
               where request_id = $1 and fence = $2 and state = 'running'
               on conflict (request_id, channel_id) do update set fence = excluded.fence, page = excluded.page,
                   latest_ts = excluded.latest_ts, done = excluded.done, shards = c.shards || excluded.shards,
                   updated_at = now()
               returning page""",
            claim.request_id,
            claim.fence,
            cursor.channel_id,
            cursor.page,
            cursor.latest_ts,
            cursor.done,
            list(new_shards),
        )
        if row is None:
            raise LeaseLost(f"scrape {claim.request_id}")

    async def reserve(self, team_id: str, method: str, recovery: float) -> tuple[float, float]:
        """Take the next slot of one method: seconds to wait for it, and the interval in force."""
        row = await self.database.fetchrow(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s) values ($1, $2, now(), 0)
               on conflict (team_id, method) do update set
                   next_at = greatest(b.next_at, now()) + make_interval(secs => b.interval_s),
                   interval_s = case when b.interval_s < 0.005 then 0
                                     when b.interval_s >= 30 then b.interval_s
                                     else b.interval_s * $3 end,
                   updated_at = now()
               returning interval_s, case when interval_s >= 30 or interval_s = 0 then interval_s
                                          else interval_s / $3 end as taken_s,
                   extract(epoch from next_at - now())::float8 as ahead_s""",
            team_id,
            method,
            recovery,
        )
        assert row is not None
        return max(0.0, row["ahead_s"] - row["taken_s"]), row["interval_s"]

    async def slow_down(self, team_id: str, method: str, retry_after_s: float, interval_s: float) -> None:
        """Slack asked to wait: nobody calls that method before, and then less often."""
        await self.database.execute(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s)
               values ($1, $2, now() + make_interval(secs => $3), $4)
               on conflict (team_id, method) do update set
                   next_at = greatest(b.next_at, excluded.next_at),
                   interval_s = greatest(b.interval_s, excluded.interval_s), updated_at = now()""",
            team_id,
            method,
            retry_after_s,
            interval_s,
        )
