"""Resumable states: named once their objects lie complete."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from doppel.database import Database
from proto.errors import LeaseLost
from services.trainer.core.run import Run
from services.trainer.repository.rows import CheckpointRow


@dataclass(frozen=True)
class Checkpoints:
    """Table ``run_checkpoints``."""

    database: Database

    async def add_checkpoint(self, run: Run, row: CheckpointRow) -> None:
        """Name a checkpoint whose objects lie complete; past the last one the run has got further. Raises LeaseLost."""
        stored = await self.database.fetchval(
            """with ours as (
                   update trainer.runs r
                   set lost_before = case when $3 > coalesce((select max(c.step) from trainer.run_checkpoints c
                                                              where c.run_id = r.run_id), -1)
                                          then r.fence - 1 - r.handed_over else r.lost_before end
                   where run_id = $1 and fence = $2 and state = 'running'
                   returning run_id, fence)
               insert into trainer.run_checkpoints (run_id, fence, step, prefix, manifest_sha256)
               select run_id, fence, $3, $4, $5 from ours
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
        row = await self.database.fetchrow(
            """select fence, step, prefix, manifest_sha256 from trainer.run_checkpoints
               where run_id = $1 order by created_at desc limit 1""",
            run.run_id,
        )
        return CheckpointRow(**row) if row else None

    async def forget_checkpoints(
        self, run_id: UUID, *, keep: int, only: CheckpointRow | None = None
    ) -> list[str]:
        """Delete the rows of all but the newest `keep` (or of one that is damaged); returns their prefixes."""
        rows: list[Any] = await self.database.fetch(
            """delete from trainer.run_checkpoints where run_id = $1 and (fence, step) in (
                   select fence, step from trainer.run_checkpoints where run_id = $1
                     and ($3::bigint is null or (fence, step) = ($3, $4::int))
                   order by created_at desc offset $2)
               returning prefix""",
            run_id,
            keep,
            only.fence if only else None,
            only.step if only else None,
        )
        return [row["prefix"] for row in rows]
