"""gateway.rules: what an admin of a workspace has decided; and how much of it is used."""

from doppel.database import Database
from services.gateway.core.rules import Change, Own, Usage, changed

PERSONAS_BESIDE = """
    select count(distinct user_id) from (
        select user_id from gateway.active_adapters where team_id = $1
        union all
        select user_id from gateway.trainings
        where team_id = $1 and state <> 'done' and updated_at > now() - interval '1 day') used
    where user_id <> $2"""
RUNS_TODAY = """
    select count(*) from gateway.trainings
    where team_id = $1 and coalesce(started_at, requested_at) > now() - interval '1 day'
      and not (state = 'done' and started_at is null)"""


class RulesTable:
    """gateway.rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, team_id: str) -> Own:
        """A workspace's own; most have none."""
        row = await self._database.fetchrow("select * from gateway.rules where team_id = $1", team_id)
        return Own() if row is None else Own(**{name: row[name] for name in Own.__dataclass_fields__})

    async def change(self, team_id: str, change: Change, *, by: str) -> Own:
        """Set one; returns them all."""
        own = changed(await self.fetch(team_id), change)
        await self._database.execute(
            """insert into gateway.rules as r
                   (team_id, who_may_train, guests_may_ask, personas, runs_a_day, replies_a_minute, updated_by)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (team_id) do update set who_may_train = excluded.who_may_train,
                   guests_may_ask = excluded.guests_may_ask, personas = excluded.personas,
                   runs_a_day = excluded.runs_a_day, replies_a_minute = excluded.replies_a_minute,
                   updated_by = excluded.updated_by, updated_at = now()""",
            team_id,
            own.who_may_train,
            own.guests_may_ask,
            own.personas,
            own.runs_a_day,
            own.replies_a_minute,
            by,
        )
        return own

    async def usage(self, team_id: str) -> Usage:
        """Now."""
        personas = await self._database.fetchval(PERSONAS_BESIDE, team_id, "")
        return Usage(personas, await self._database.fetchval(RUNS_TODAY, team_id))
