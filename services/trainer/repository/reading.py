"""What a training starts from: the run as it was left, the person's word, their dataset."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from doppel.database import Database
from doppel.migrate import expected_migrations
from proto.body import ErrorInfo
from proto.scrape import SampleCounts
from proto.train import RunState, TrainResult
from services.trainer.core.plan import Plan
from services.trainer.core.run import Run, ended_with
from services.trainer.repository.rows import DatasetRow, KnownRun


@dataclass(frozen=True)
class Reading:
    """Table ``runs``; ``consents_now`` of the gateway and ``datasets`` of the scraper, read only."""

    database: Database

    async def check(self) -> None:
        """Raise unless this checkout's migrations are applied."""
        rows = await self.database.fetch("select name from doppel.schema_migrations")
        if expected_migrations() - {row["name"] for row in rows}:
            raise asyncpg.UndefinedTableError("migrations are missing; run `doppel db migrate`")

    async def find(self, run: Run) -> KnownRun | None:
        """What an earlier delivery left behind."""
        row = await self.database.fetchrow(
            "select dataset_id, plan, state, result, error from trainer.runs where run_id = $1", run.run_id
        )
        if row is None:
            return None
        plan = Plan.model_validate(row["plan"]) if row["plan"] else None
        if row["state"] == RunState.RUNNING:
            return KnownRun(row["dataset_id"], plan, None)
        if row["result"]:
            return KnownRun(row["dataset_id"], plan, TrainResult.model_validate(row["result"]))
        return KnownRun(row["dataset_id"], plan, ended_with(run, ErrorInfo.model_validate(row["error"])))

    async def consents(self, run: Run) -> bool:
        """Whether the person's newest word is yes."""
        granted = await self.database.fetchval(
            "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
            run.team_id,
            run.user_id,
        )
        return bool(granted)

    async def dataset(self, run: Run, dataset_id: UUID | None) -> DatasetRow | None:
        """The named dataset of this persona, or its newest."""
        row = await self.database.fetchrow(
            """select dataset_id, prefix, manifest_sha256, source, train_count, validation_count, test_count
               from scraper.datasets where team_id = $1 and user_id = $2 and ($3::uuid is null or dataset_id = $3)
               order by created_at desc limit 1""",
            run.team_id,
            run.user_id,
            dataset_id,
        )
        if row is None:
            return None
        samples = SampleCounts(
            train=row["train_count"], validation=row["validation_count"], test=row["test_count"]
        )
        return DatasetRow(row["dataset_id"], row["prefix"], row["manifest_sha256"], samples, row["source"])
