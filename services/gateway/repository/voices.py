"""gateway.voices: who answers in a workspace, or in one channel of it."""

from datetime import datetime

from doppel.database import Database
from services.gateway.core.voice import Chosen

WORKSPACE = ""


class Voices:
    """gateway.voices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, team_id: str) -> list[Chosen]:
        """Every choice of a workspace."""
        rows = await self._database.fetch(
            "select user_id, channel from gateway.voices where team_id = $1 order by channel", team_id
        )
        return [Chosen(row["user_id"], row["channel"]) for row in rows]

    async def choose(self, team_id: str, channel: str, user_id: str | None, *, by: str, at: datetime) -> None:
        """From `at` on; an older choice that is delivered once more changes nothing."""
        await self._database.execute(
            """insert into gateway.voices as v (team_id, channel, user_id, set_by, set_at) values ($1, $2, $3, $4, $5)
               on conflict (team_id, channel) do update
               set user_id = excluded.user_id, set_by = excluded.set_by, set_at = excluded.set_at
               where v.set_at <= excluded.set_at""",
            team_id,
            channel,
            user_id,
            by,
            at,
        )

    async def forget(self, team_id: str, channel: str, *, at: datetime) -> None:
        """Back to whoever was trained last."""
        await self._database.execute(
            "delete from gateway.voices where team_id = $1 and channel = $2 and set_at <= $3",
            team_id,
            channel,
            at,
        )
