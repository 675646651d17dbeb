"""What the trainer tells of a persona's versions; read, never written."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.database import Database


@dataclass(frozen=True)
class StoredReport:
    """Where a version's report lies."""

    run_id: UUID
    prefix: str
    manifest_sha256: str


class Versions:
    """trainer.runs, as far as people in Slack ask for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch_report(self, team_id: str, user_id: str) -> StoredReport | None:
        """Of the version that answers, else of the newest run that has one."""
        row = await self._database.fetchrow(
            """select r.run_id, r.report_prefix, r.report_manifest_sha256
               from trainer.runs r left join gateway.active_adapters a using (run_id)
               where r.team_id = $1 and r.user_id = $2 and r.report_prefix is not null
               order by a.run_id is null, r.requested_at desc limit 1""",
            team_id,
            user_id,
        )
        if row is None:
            return None
        return StoredReport(row["run_id"], row["report_prefix"], row["report_manifest_sha256"])

    async def trained_at(self, run_id: UUID) -> datetime | None:
        """When a version was asked for."""
        return await self._database.fetchval(
            "select requested_at from trainer.runs where run_id = $1", run_id
        )

    async def counts(self, team_id: str) -> dict[str, int]:
        """How many versions of each persona could answer."""
        rows = await self._database.fetch(
            "select user_id, count(*) as n from trainer.adapters where team_id = $1 group by user_id", team_id
        )
        return {row["user_id"]: row["n"] for row in rows}
