"""What inference reads in PostgreSQL: which adapter a persona answers with now."""

from collections.abc import Sequence
from uuid import UUID

from doppel.database import Database
from proto.train import AdapterRef


class Repository:
    """Reads only; inference owns no table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch_existing(self, run_ids: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these versions are still there."""
        rows = await self._database.fetch(
            "select run_id from trainer.adapters where run_id = any($1)", list(run_ids)
        )
        return frozenset(row["run_id"] for row in rows)

    async def fetch_active_adapter(self, team_id: str, user_id: str) -> AdapterRef | None:
        """The persona's active adapter, or None where it has none."""
        row = await self._database.fetchrow(
            "select run_id, prefix, manifest_sha256 from gateway.active_adapters where team_id = $1 and user_id = $2",
            team_id,
            user_id,
        )
        return None if row is None else AdapterRef(**dict(row))
