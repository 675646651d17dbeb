"""Published versions: which nobody needs any more, and which objects of ended runs are still needed."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from doppel.database import Database
from services.trainer.repository.rows import Ended, Version

# The gateway makes a version active under this very lock of the person, and looks at `collected_at` inside it.
_ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtextextended($1, 1))"


@dataclass(frozen=True)
class Registry:
    """Table ``runs``, once they have ended; ``active_adapters`` of the gateway, read only."""

    database: Database

    async def people(self, team_id: str) -> list[str]:
        """Everybody of a workspace who was ever trained."""
        rows = await self.database.fetch(
            "select distinct user_id from trainer.runs where team_id = $1 order by user_id", team_id
        )
        return [row["user_id"] for row in rows]

    async def collect(self, team_id: str, user_id: str, *, keep: int, dry_run: bool) -> list[Version]:
        """Take all but the newest `keep` and the active one out of the registry, so that nobody can activate them.

        Their objects may go once this has returned. `dry_run`: only say which.
        """
        async with self.database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME, f"{team_id}/{user_id}")
            rows = await connection.fetch(
                """with old as (
                       select r.run_id, r.adapter_prefix
                       from trainer.runs r
                       where r.team_id = $1 and r.user_id = $2 and r.state = 'published' and r.collected_at is null
                         and not exists (select from gateway.active_adapters a where a.run_id = r.run_id)
                         and r.run_id not in (
                             select n.run_id from trainer.runs n
                             where n.team_id = $1 and n.user_id = $2 and n.state = 'published'
                               and n.collected_at is null
                             order by n.requested_at desc, n.run_id limit $3)
                   ), gone as (
                       update trainer.runs set collected_at = now()
                       where run_id in (select run_id from old) and not $4
                   )
                   select run_id, adapter_prefix from old order by run_id""",
                team_id,
                user_id,
                keep,
                dry_run,
            )
        return [Version(row["run_id"], row["adapter_prefix"]) for row in rows]

    async def ended(self, team_id: str, user_id: str, run_id: UUID | None = None) -> list[Ended]:
        """Every run that is over, or this one if it is, with the prefixes that are still needed of it."""
        rows = await self.database.fetch(
            """select run_id, report_prefix,
                      case when state = 'published' and collected_at is null then adapter_prefix end as adapter_prefix
               from trainer.runs
               where team_id = $1 and user_id = $2 and state <> 'running' and ($3::uuid is null or run_id = $3)""",
            team_id,
            user_id,
            run_id,
        )
        return [
            Ended(
                row["run_id"],
                tuple(prefix for prefix in (row["adapter_prefix"], row["report_prefix"]) if prefix),
            )
            for row in rows
        ]
