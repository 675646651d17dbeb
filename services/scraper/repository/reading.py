"""What a reading needs: the token, the person's word, and the rate budget that all replicas share."""

from dataclasses import dataclass

import asyncpg

from doppel.database import Database
from doppel.migrate import expected_migrations
from services.scraper.core.budget import Pace
from services.scraper.repository.rows import Claim, Installation


@dataclass(frozen=True)
class Reading:
    """Table ``budgets``; ``installations`` and ``consents_now`` of the gateway."""

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

    async def is_finished(self, claim: Claim) -> bool:
        """Did this very holder bring the scrape to its end?"""
        return bool(
            await self.database.fetchval(
                "select true from scraper.scrapes where request_id = $1 and fence = $2 and state = 'done'",
                claim.request_id,
                claim.fence,
            )
        )

    async def installation(self, team_id: str) -> Installation | None:
        """The workspace's living installation."""
        row = await self.database.fetchrow(
            "select bot_token, enterprise_id from gateway.installations where team_id = $1 and state = 'active'",
            team_id,
        )
        return Installation(row["bot_token"], row["enterprise_id"]) if row else None

    async def reserve(self, team_id: str, method: str, pace: Pace) -> tuple[float, float]:
        """Take the next slot of one method: seconds to wait for it, and the interval in force.

        A learnt interval shortens by `recovery` with each call and is forgotten after a day without one. A slot that
        passed unused is lost, but for a hiccup of `pace.slack_s`.
        """
        row = await self.database.fetchrow(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s)
               values ($1, $2, now() + make_interval(secs => $3), $3)
               on conflict (team_id, method) do update set
                   (interval_s, next_at, updated_at) = (
                       select pace,
                              greatest(b.next_at, now() - make_interval(secs => $6)) + make_interval(secs => pace),
                              now()
                       from (select case when b.updated_at < now() - interval '1 day' then $3
                                         when b.interval_s > $5 * 1.001 then $3
                                         when b.interval_s >= $5 * 0.999 then b.interval_s
                                         else greatest($3, b.interval_s * $4) end as pace) as paced)
               returning interval_s, extract(epoch from next_at - now())::float8 - interval_s as wait_s""",
            team_id,
            method,
            pace.floor_s,
            pace.recovery,
            pace.slow_s,
            pace.slack_s,
        )
        assert row is not None
        return max(0.0, row["wait_s"]), row["interval_s"]

    async def slow_down(self, team_id: str, method: str, wait_s: float, interval_s: float) -> None:
        """Slack asked to wait: nobody calls that method before, and then less often."""
        await self.database.execute(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s)
               values ($1, $2, now() + make_interval(secs => $3), $4)
               on conflict (team_id, method) do update set
                   next_at = greatest(b.next_at, excluded.next_at),
                   interval_s = greatest(b.interval_s, excluded.interval_s), updated_at = now()""",
            team_id,
            method,
            wait_s,
            interval_s,
        )

    async def speed_up(self, team_id: str, method: str, interval_s: float) -> None:
        """What was taken for slow mode was none: back to the plain pace."""
        await self.database.execute(
            """update scraper.budgets set next_at = least(next_at, now() + make_interval(secs => $3)),
                   interval_s = $3, updated_at = now()
               where team_id = $1 and method = $2""",
            team_id,
            method,
            interval_s,
        )
