"""The trainer's SQL. Each write is one statement, decided by a unique key or by ``where fence =``."""

import logging
import os
import socket
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.body import ErrorInfo
from proto.errors import LeaseLost, NoConsent
from proto.scrape import SampleCounts
from proto.train import AdapterRef, RunState, TrainResult
from services.trainer.core.job import Finished
from services.trainer.core.plan import Plan
from services.trainer.core.run import Run, ended_with

log = logging.getLogger(__name__)

ABANDONED_S = 3600.0  # a running row that nobody renewed for so long belongs to a message that is gone


@dataclass(frozen=True)
class DatasetRow:
    """One dataset of one persona."""

    dataset_id: UUID
    prefix: str
    manifest_sha256: str
    samples: SampleCounts
    source: str


@dataclass(frozen=True)
class KnownRun:
    """What is already decided of a run that is taken up again."""

    dataset_id: UUID
    plan: Plan | None
    result: TrainResult | None


@dataclass(frozen=True)
class Lease:
    """The run is ours under this fence; `crashes`: how many holders before us ended without handing it over."""

    fence: int
    crashes: int


@dataclass(frozen=True)
class Busy:
    """The run, or another one of the same persona, is held; ask again after `retry_s`."""

    retry_s: float | None


@dataclass(frozen=True)
class CheckpointRow:
    """One resumable state in the bucket."""

    fence: int
    step: int
    prefix: str
    manifest_sha256: str


class Runs:
    """Runs, their leases, checkpoints and ends; consents and datasets of others, read only."""

    def __init__(self, database: Database, *, lease_ttl_s: float) -> None:
        self._database = database
        self._lease_ttl_s = lease_ttl_s
        self._holder = f"{socket.gethostname()}:{os.getpid()}"

    async def check(self) -> None:
        """Raise unless the tables are there."""
        await self._database.fetchval("select count(*) from (select from trainer.runs limit 1) as any_run")

    async def find(self, run: Run) -> KnownRun | None:
        """What an earlier delivery left behind."""
        row = await self._database.fetchrow(
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
        granted = await self._database.fetchval(
            "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
            run.team_id,
            run.user_id,
        )
        return bool(granted)

    async def dataset(self, run: Run, dataset_id: UUID | None) -> DatasetRow | None:
        """The named dataset of this persona, or its newest."""
        row = await self._database.fetchrow(
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

    async def acquire(self, run: Run, dataset_id: UUID, plan: Plan, *, base_model: str) -> Lease | Busy:
        """Start the run, or take over one whose lease has run out (clock: the database's)."""
        await self._end_abandoned(run)
        try:
            row = await self._database.fetchrow(
                """insert into trainer.runs as r (run_id, request_id, team_id, user_id, dataset_id, holder,
                       lease_until, plan, requested_at, base_model, lora_rank)
                   values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9, $10, $11)
                   on conflict (run_id) do update
                     set fence = r.fence + 1, holder = excluded.holder, lease_until = excluded.lease_until
                     where r.state = 'running' and r.lease_until < now()
                   returning fence, handed_over""",
                run.run_id,
                run.request_id,
                run.team_id,
                run.user_id,
                dataset_id,
                self._holder,
                self._lease_ttl_s,
                plan.model_dump(mode="json"),
                run.requested_at,
                base_model,
                plan.lora_rank,
            )
        except asyncpg.UniqueViolationError:  # one running run per persona
            return Busy(None)
        if row is None:
            left_s = await self._database.fetchval(
                "select extract(epoch from lease_until - now()) from trainer.runs where run_id = $1",
                run.run_id,
            )
            return Busy(max(0.1, float(left_s or 0)))
        return Lease(row["fence"], row["fence"] - 1 - row["handed_over"])

    async def _end_abandoned(self, run: Run) -> None:
        ended = await self._database.execute(
            """update trainer.runs set state = 'failed', ended_at = now(),
                   error = '{"code": "crashed", "message": "Nobody came back to this training."}'
               where team_id = $1 and user_id = $2 and run_id <> $3 and state = 'running'
                 and lease_until < now() - make_interval(secs => $4)""",
            run.team_id,
            run.user_id,
            run.run_id,
            ABANDONED_S,
        )
        if ended != "UPDATE 0":
            log.warning("abandoned run ended", extra={"team_id": run.team_id, "user_id": run.user_id})

    async def renew(self, run: Run, fence: int) -> None:
        """Hold the run for another while. Raises LeaseLost, and NoConsent where the person has said no meanwhile."""
        row = await self._database.fetchrow(
            """update trainer.runs set lease_until = now() + make_interval(secs => $3)
               where run_id = $1 and fence = $2 and state = 'running'
               returning (select granted from gateway.consents_now c
                          where c.team_id = runs.team_id and c.user_id = runs.user_id) as granted""",
            run.run_id,
            fence,
            self._lease_ttl_s,
        )
        if row is None:
            raise LeaseLost(run.run_id)
        if not row["granted"]:
            raise NoConsent(run.user_id)

    async def release(self, run: Run, fence: int, *, crashed: bool) -> None:
        """Let the next worker in at once. Quiet when the database is away: the lease then runs out by itself."""
        try:
            await self._database.execute(
                """update trainer.runs set lease_until = now() - interval '1 ms', handed_over = handed_over + $3
                   where run_id = $1 and fence = $2 and state = 'running'""",
                run.run_id,
                fence,
                0 if crashed else 1,
            )
        except (
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ):
            log.warning("lease not released", extra={"run_id": run.run_id})

    async def add_checkpoint(self, run: Run, row: CheckpointRow) -> None:
        """Name a checkpoint whose objects lie complete. Raises LeaseLost."""
        stored = await self._database.fetchval(
            """insert into trainer.run_checkpoints (run_id, fence, step, prefix, manifest_sha256)
               select run_id, fence, $3, $4, $5 from trainer.runs
               where run_id = $1 and fence = $2 and state = 'running'
               on conflict (run_id, fence, step)
                 do update set manifest_sha256 = excluded.manifest_sha256, created_at = now()
               returning true""",
            run.run_id,
            row.fence,
            row.step,
            row.prefix,
            row.manifest_sha256,
        )
        if not stored:
            raise LeaseLost(run.run_id)

    async def newest_checkpoint(self, run: Run) -> CheckpointRow | None:
        """Where to go on from."""
        row = await self._database.fetchrow(
            """select fence, step, prefix, manifest_sha256 from trainer.run_checkpoints
               where run_id = $1 order by created_at desc limit 1""",
            run.run_id,
        )
        return CheckpointRow(**row) if row else None

    async def forget_checkpoints(
        self, run: Run, *, keep: int, only: CheckpointRow | None = None
    ) -> list[str]:
        """Delete the rows of all but the newest `keep` (or of one that is damaged); returns their prefixes."""
        rows: list[Any] = await self._database.fetch(
            """delete from trainer.run_checkpoints where run_id = $1 and (fence, step) in (
                   select fence, step from trainer.run_checkpoints where run_id = $1
                     and ($3::bigint is null or (fence, step) = ($3, $4::int))
                   order by created_at desc offset $2)
               returning prefix""",
            run.run_id,
            keep,
            only.fence if only else None,
            only.step if only else None,
        )
        return [row["prefix"] for row in rows]

    async def commit(
        self, run: Run, fence: int, adapter: AdapterRef, finished: Finished, result: TrainResult
    ) -> None:
        """The row comes last: from here on the adapter exists. Raises LeaseLost, NoConsent."""
        row = await self._database.fetchrow(
            """update trainer.runs r
               set state = 'published', ended_at = now(), adapter_prefix = $3, manifest_sha256 = $4,
                   step_count = $5, sample_count = $6, base_test_loss = $7, test_loss = $8, train_s = $9, result = $10
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
        )
        if row is not None:
            return
        found = await self._database.fetchrow(
            "select state, fence, manifest_sha256 from trainer.runs where run_id = $1", run.run_id
        )
        if found and (found["state"], found["manifest_sha256"]) == ("published", adapter.manifest_sha256):
            return  # our own commit, answered late
        if found and (found["state"], found["fence"]) == ("running", fence):
            raise NoConsent(run.user_id)
        raise LeaseLost(run.run_id)

    async def end(self, run: Run, fence: int | None, result: TrainResult) -> bool:
        """End the run without an adapter. Fence None: only where nobody holds it. False: it was not ours to end."""
        row = await self._database.fetchrow(
            """update trainer.runs
               set state = $3, ended_at = now(), error = $4, result = $5, step_count = $6, sample_count = $7,
                   base_test_loss = $8, test_loss = $9, train_s = $10
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
        )
        if row is not None:
            return True
        state = await self._database.fetchval("select state from trainer.runs where run_id = $1", run.run_id)
        return state == result.state.value

    async def waiting(self, run_id: UUID) -> Run | None:
        """A running run that nobody holds at the moment."""
        row = await self._database.fetchrow(
            """select run_id, request_id, team_id, user_id, requested_at from trainer.runs
               where run_id = $1 and state = 'running' and lease_until < now()""",
            run_id,
        )
        return Run(**row) if row else None
