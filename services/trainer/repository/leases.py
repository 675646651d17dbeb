"""Who holds a run, for how long, under which fence. The clock is the database's."""

import logging
import os
import socket
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from doppel.database import Database
from doppel.transient import is_transient
from proto.errors import Cancelled, LeaseLost, NoConsent
from services.trainer.core.plan import Plan
from services.trainer.core.run import Run
from services.trainer.repository.rows import Busy, Lease

log = logging.getLogger(__name__)

ABANDONED_S: Final = 3600.0  # a running row that nobody renewed for so long belongs to a message that is gone
HOLDER: Final = f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Leases:
    """Table ``runs``, while they run."""

    database: Database
    lease_ttl_s: float

    async def acquire(self, run: Run, dataset_id: UUID, plan: Plan, *, base_model: str) -> Lease | Busy:
        """Start the run, or take over one whose lease has run out (clock: the database's)."""
        await self._end_abandoned(run)
        try:
            row = await self.database.fetchrow(
                """insert into trainer.runs as r (run_id, request_id, team_id, user_id, dataset_id, holder,
                       lease_until, plan, requested_at, base_model, lora_rank)
                   values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9, $10, $11)
                   on conflict (run_id) do update
                     set fence = r.fence + 1, holder = excluded.holder, lease_until = excluded.lease_until,
                         base_model = excluded.base_model
                     where r.state = 'running' and r.lease_until < now()
                   returning fence, fence - 1 - handed_over - lost_before as lost""",
                run.run_id,
                run.request_id,
                run.team_id,
                run.user_id,
                dataset_id,
                HOLDER,
                self.lease_ttl_s,
                plan.model_dump(mode="json"),
                run.requested_at,
                base_model,
                plan.lora_rank,
            )
        except asyncpg.UniqueViolationError:  # one running run per persona
            return Busy(None)
        if row is None:
            left_s = await self.database.fetchval(
                "select extract(epoch from lease_until - now()) from trainer.runs where run_id = $1",
                run.run_id,
            )
            return Busy(max(0.1, float(left_s or 0)))
        return Lease(row["fence"], row["lost"])

    async def _end_abandoned(self, run: Run) -> None:
        ended = await self.database.execute(
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
        """Hold the run for another while. Raises LeaseLost; NoConsent, Cancelled where somebody said no meanwhile."""
        row = await self.database.fetchrow(
            """update trainer.runs set lease_until = now() + make_interval(secs => $3)
               where run_id = $1 and fence = $2 and state = 'running'
               returning (select granted from gateway.consents_now c
                          where c.team_id = runs.team_id and c.user_id = runs.user_id) as granted,
                         exists (select from trainer.cancels c where c.run_id = runs.run_id) as cancelled""",
            run.run_id,
            fence,
            self.lease_ttl_s,
        )
        if row is None:
            raise LeaseLost(run.run_id)
        if not row["granted"]:
            raise NoConsent(run.user_id)
        if row["cancelled"]:
            raise Cancelled

    async def release(self, run: Run, fence: int, *, crashed: bool) -> None:
        """Let the next worker in at once. Quiet when the database is away: the lease then runs out by itself."""
        try:
            await self.database.execute(
                """update trainer.runs set lease_until = now() - interval '1 ms', handed_over = handed_over + $3
                   where run_id = $1 and fence = $2 and state = 'running'""",
                run.run_id,
                fence,
                0 if crashed else 1,
            )
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("lease not released", extra={"run_id": run.run_id})
