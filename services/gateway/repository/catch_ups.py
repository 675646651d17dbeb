"""gateway.listening and gateway.catch_ups: holes in our listening, and who reads what was said meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from doppel.database import Database


@dataclass(frozen=True)
class CatchUp:
    """A workspace whose channels are to be read."""

    team_id: str
    since: datetime
    fence: int


class CatchUps:
    """Clocks are the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def listen(self, hole_s: float, margin_s: float, oldest_s: float) -> float | None:
        """Somebody listens now. Returns how long nobody did, where that is a hole: all workspaces are read then."""
        async with self._database.transaction() as connection:
            silent_s = await connection.fetchval(
                """select extract(epoch from now() - heard_at)::float8 from gateway.listening for update"""
            )
            await connection.execute(
                """insert into gateway.listening (heard_at) values (now())
                   on conflict (only_one) do update set heard_at = greatest(listening.heard_at, excluded.heard_at)"""
            )
            if silent_s is None or silent_s <= hole_s:
                return None
            await connection.execute(
                """insert into gateway.catch_ups as c (team_id, since)
                   select team_id, now() - make_interval(secs => $1) from gateway.installations
                   where state = 'active' and team_id <> coalesce(enterprise_id, '')
                   on conflict (team_id) do update set since = least(c.since, excluded.since), wanted_at = now()""",
                min(silent_s + margin_s, oldest_s),
            )
        return silent_s

    async def claim(self, lease_s: float) -> CatchUp | None:
        """Take a workspace that nobody reads."""
        row = await self._database.fetchrow(
            """update gateway.catch_ups set fence = fence + 1, claimed_until = now() + make_interval(secs => $1)
               where team_id = (select team_id from gateway.catch_ups where claimed_until <= now()
                                order by wanted_at limit 1 for update skip locked)
               returning team_id, since, fence""",
            lease_s,
        )
        return None if row is None else CatchUp(row["team_id"], row["since"], row["fence"])

    async def hold(self, mine: CatchUp, lease_s: float) -> bool:
        """Go on, or come back after so long. False: somebody else reads it."""
        return bool(
            await self._database.fetchval(
                """update gateway.catch_ups set claimed_until = now() + make_interval(secs => $3)
                   where team_id = $1 and fence = $2 returning true""",
                mine.team_id,
                mine.fence,
                lease_s,
            )
        )

    async def done(self, mine: CatchUp) -> None:
        """Everything was read. A hole found meanwhile stays."""
        await self._database.execute(
            "delete from gateway.catch_ups where team_id = $1 and fence = $2 and since >= $3",
            mine.team_id,
            mine.fence,
            mine.since,
        )

    async def answered(self, api_app_id: str, channel: str, triggers: Sequence[str]) -> set[str]:
        """Which of these have a row: answered, or being answered."""
        rows = await self._database.fetch(
            """select trigger from gateway.outbox
               where api_app_id = $1 and channel = $2 and trigger = any($3) and part = 0""",
            api_app_id,
            channel,
            list(triggers),
        )
        return {row["trigger"] for row in rows}

    async def known_places(self, team_id: str) -> dict[str, list[str]]:
        """Where we answered during the last days: DMs, which Slack does not list for us, and threads."""
        rows = await self._database.fetch(
            """select channel, thread_ts, max(created_at) as at from gateway.outbox
               where team_id = $1 and created_at > now() - interval '7 days'
                 and (channel like 'D%' or (kind = 'reply' and thread_ts is not null
                                            and created_at > now() - interval '1 day'))
               group by channel, thread_ts order by at desc limit 1000""",
            team_id,
        )
        found: dict[str, list[str]] = {}
        for row in rows:
            threads = found.setdefault(row["channel"], [])
            if row["thread_ts"] is not None:
                threads.append(row["thread_ts"])
        return found
