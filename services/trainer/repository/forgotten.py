"""Runs of one person who is forgotten."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.database import Database
from services.trainer.core.run import Run


@dataclass(frozen=True)
class UnderWay:
    """A run that is not over. `is_held`: somebody works on it now."""

    run: Run
    is_held: bool


@dataclass(frozen=True)
class Forgotten:
    """Table ``runs``, as far as it is about one person. What began after another yes is not looked at."""

    database: Database

    async def under_way(self, team_id: str, user_id: str, until: datetime) -> list[UnderWay]:
        """What must end first."""
        rows = await self.database.fetch(
            """select run_id, request_id, team_id, user_id, requested_at, lease_until > now() as is_held
               from trainer.runs
               where team_id = $1 and user_id = $2 and state = 'running' and gateway.goes($1, $2, created_at, $3)""",
            team_id,
            user_id,
            until,
        )
        return [
            UnderWay(Run(**{k: v for k, v in row.items() if k != "is_held"}), row["is_held"]) for row in rows
        ]

    async def forget_runs(self, team_id: str, user_id: str, until: datetime) -> int:
        """Runs that are over, with their checkpoints and adapters: from here on nobody can activate one."""
        tag = await self.database.execute(
            """delete from trainer.runs
               where team_id = $1 and user_id = $2 and state <> 'running' and gateway.goes($1, $2, created_at, $3)""",
            team_id,
            user_id,
            until,
        )
        return int(tag.rpartition(" ")[2])

    async def run_ids(self, team_id: str, user_id: str) -> list[UUID]:
        """What they have by now, after another yes."""
        rows = await self.database.fetch(
            "select run_id from trainer.runs where team_id = $1 and user_id = $2", team_id, user_id
        )
        return [row["run_id"] for row in rows]
