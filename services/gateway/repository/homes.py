"""gateway.homes: who looks at their Home tab, and what it shows."""

from dataclasses import dataclass
from datetime import datetime

from doppel.database import Database


@dataclass(frozen=True)
class Home:
    """One person's tab."""

    team_id: str
    user_id: str
    shown: str
    view_hash: str | None


class Homes:
    """Clocks are the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def opened(self, team_id: str, user_id: str) -> Home:
        """Somebody looks: it is kept up to date from now on, for some days."""
        row = await self._database.fetchrow(
            """insert into gateway.homes as h (team_id, user_id) values ($1, $2)
               on conflict (team_id, user_id) do update set opened_at = now(), looked_at = now()
               returning team_id, user_id, shown, view_hash""",
            team_id,
            user_id,
        )
        assert row is not None
        return Home(**dict(row))

    async def fetch(self, team_id: str, user_id: str) -> Home | None:
        """As it stands; None: never opened."""
        row = await self._database.fetchrow(
            """select team_id, user_id, shown, view_hash from gateway.homes
               where team_id = $1 and user_id = $2""",
            team_id,
            user_id,
        )
        return None if row is None else Home(**dict(row))

    async def claim_due(self, limit: int, every_s: float, days: int) -> list[Home]:
        """Tabs to be compared with how things stand, the longest not looked at first; one replica takes each."""
        rows = await self._database.fetch(
            """update gateway.homes h set looked_at = now()
               from (select team_id, user_id from gateway.homes
                     where looked_at < now() - make_interval(secs => $2)
                       and opened_at > now() - make_interval(days => $3)
                     order by looked_at limit $1 for update skip locked) due
               where (h.team_id, h.user_id) = (due.team_id, due.user_id)
               returning h.team_id, h.user_id, h.shown, h.view_hash""",
            limit,
            every_s,
            days,
        )
        return [Home(**dict(row)) for row in rows]

    async def published(self, home: Home, shown: str, view_hash: str | None) -> None:
        """What it shows now."""
        await self._database.execute(
            "update gateway.homes set shown = $3, view_hash = $4 where team_id = $1 and user_id = $2",
            home.team_id,
            home.user_id,
            shown,
            view_hash,
        )

    async def leave(self, home: Home) -> None:
        """Slack shows them none any more."""
        await self._database.execute(
            "delete from gateway.homes where team_id = $1 and user_id = $2", home.team_id, home.user_id
        )

    async def purge_under_way(self, team_id: str, user_id: str) -> datetime | None:
        """Since when somebody is being forgotten, until every service has answered once."""
        return await self._database.fetchval(
            """select min(requested_at) from gateway.purges
               where team_id = $1 and user_id = $2 and done_at is null
                 and not (answers ? 'scraper' and answers ? 'trainer')""",
            team_id,
            user_id,
        )
