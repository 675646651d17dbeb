"""How a run ends: published, or without an adapter. The row comes last and counts under its fence only."""

from dataclasses import dataclass
from uuid import UUID

from doppel.database import Database
from proto.errors import LeaseLost, NoConsent
from proto.train import AdapterRef, TrainResult
from services.trainer.core.job import Finished
from services.trainer.core.run import Run
from services.trainer.repository.rows import Lineage


@dataclass(frozen=True)
class Ends:
    """Table ``runs``, as they end."""

    database: Database

    async def commit(
        self,
        run: Run,
        fence: int,
        adapter: AdapterRef,
        finished: Finished,
        result: TrainResult,
        lineage: Lineage,
    ) -> None:
        """The row comes last: from here on the adapter exists. Raises LeaseLost, NoConsent."""
        row = await self.database.fetchrow(
            """update trainer.runs r
               set state = 'published', ended_at = now(), adapter_prefix = $3, manifest_sha256 = $4,
                   step_count = $5, sample_count = $6, base_test_loss = $7, test_loss = $8, train_s = $9, result = $10,
                   report_prefix = $11, report_manifest_sha256 = $12, dataset_sha256 = $13,
                   base_model_sha256 = $14, code_version = $15
               where run_id = $1 and fence = $2 and state = 'running'
                 and exists (select from gateway.consents_now c
                             where c.team_id = r.team_id and c.user_id = r.user_id and c.granted)
               returning run_id""",
            run.run_id,
            fence,
            adapter.prefix,
            adapter.manifest_sha256,
            finished.step_count,
            finished.sample_count,
            finished.base_test_loss,
            finished.test_loss,
            finished.train_s,
            result.model_dump(mode="json"),
            result.report.prefix if result.report else None,
            result.report.manifest_sha256 if result.report else None,
            lineage.dataset_sha256,
            lineage.base_model_sha256,
            lineage.code_version,
        )
        if row is not None:
            return
        found = await self.database.fetchrow(
            "select state, fence, manifest_sha256 from trainer.runs where run_id = $1", run.run_id
        )
        if found and (found["state"], found["manifest_sha256"]) == ("published", adapter.manifest_sha256):
            return  # our own commit, answered late
        if found and (found["state"], found["fence"]) == ("running", fence):
            raise NoConsent(run.user_id)
        raise LeaseLost(run.run_id)

    async def end(
        self, run: Run, fence: int | None, result: TrainResult, lineage: Lineage | None = None
    ) -> bool:
        """End the run without an adapter. Fence None: only where nobody holds it. False: it was not ours to end."""
        row = await self.database.fetchrow(
            """update trainer.runs
               set state = $3, ended_at = now(), error = $4, result = $5, step_count = $6, sample_count = $7,
                   base_test_loss = $8, test_loss = $9, train_s = $10,
                   report_prefix = $11, report_manifest_sha256 = $12, dataset_sha256 = $13,
                   base_model_sha256 = $14, code_version = $15
               where run_id = $1 and state = 'running'
                 and (fence = $2::bigint or ($2::bigint is null and lease_until < now()))
               returning run_id""",
            run.run_id,
            fence,
            result.state.value,
            result.error.model_dump() if result.error else None,
            result.model_dump(mode="json"),
            result.step_count,
            result.sample_count,
            result.base_test_loss,
            result.test_loss,
            result.train_s,
            result.report.prefix if result.report else None,
            result.report.manifest_sha256 if result.report else None,
            lineage.dataset_sha256 if lineage else None,
            lineage.base_model_sha256 if lineage else None,
            lineage.code_version if lineage else "",
        )
        if row is not None:
            return True
        state = await self.database.fetchval("select state from trainer.runs where run_id = $1", run.run_id)
        return state == result.state.value

    async def waiting(self, run_id: UUID) -> Run | None:
        """A running run that nobody holds at the moment."""
        row = await self.database.fetchrow(
            """select run_id, request_id, team_id, user_id, requested_at from trainer.runs
               where run_id = $1 and state = 'running' and lease_until < now()""",
            run_id,
        )
        return Run(**row) if row else None

    async def is_known(self, run_id: UUID) -> bool:
        """Whether anybody has ever held it."""
        return bool(
            await self.database.fetchval("select exists (select from trainer.runs where run_id = $1)", run_id)
        )
