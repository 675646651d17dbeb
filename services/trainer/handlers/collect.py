"""What nobody needs any more leaves: versions on `adapter.request`, and what ended runs have left lying."""

import logging
from dataclasses import dataclass
from uuid import UUID

from doppel.bus import Delivery, Publisher
from proto import subjects
from proto.adapter import AdapterRequest, AdapterResult
from proto.artifacts import persona_prefix
from services.trainer.adapters.run_store import RunStore
from services.trainer.core.job import CURVES_FOLDER
from services.trainer.repository import Runs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collector:
    """The trainer owns rows and objects, so it collects them; the command only asks."""

    bus: Publisher
    runs: Runs
    store: RunStore
    kept: int

    async def on_adapter_request(self, request: AdapterRequest, delivery: Delivery) -> None:
        """Collect of one person, or of everybody in the workspace. Doing it again does nothing more."""
        request_id = request.request_id or delivery.id
        people = [request.user_id] if request.user_id else await self.runs.people(request.team_id)
        run_ids: list[UUID] = []
        object_count = 0
        async with delivery.heartbeat():
            for user_id in people:
                gone, objects = await collect(
                    self.runs,
                    self.store,
                    request.team_id,
                    user_id,
                    keep=request.keep or self.kept,
                    dry_run=request.dry_run,
                )
                run_ids += gone
                object_count += objects
        result = AdapterResult(
            request_id=request_id,
            team_id=request.team_id,
            user_id=request.user_id,
            dry_run=request.dry_run,
            run_ids=tuple(run_ids),
            object_count=object_count,
        )
        await self.bus.publish(subjects.ADAPTER_RESULT, result, key=f"{request_id}/done")


async def collect(
    runs: Runs, store: RunStore, team_id: str, user_id: str, *, keep: int, dry_run: bool
) -> tuple[list[UUID], int]:
    """Rows first: from there on nobody can activate them. Then their objects, and those of ended runs without a use.

    What a crash leaves undone is done the next time.
    """
    gone = await runs.collect(team_id, user_id, keep=keep, dry_run=dry_run)
    object_count = 0 if dry_run else await clean(runs, store, team_id, user_id)
    if gone and not dry_run:
        log.info("adapters collected", extra={"team_id": team_id, "user_id": user_id, "count": len(gone)})
    return [version.run_id for version in gone], object_count


async def clean(runs: Runs, store: RunStore, team_id: str, user_id: str, run_id: UUID | None = None) -> int:
    """Of a person's ended runs, or of this one, all goes that no row needs; returns how many objects went.

    Nobody resumes an ended run, so its checkpoints go; with them what a worker has written that was too late.
    A running run is never looked at, so nothing that it may resume from is touched.
    """
    object_count = 0
    for run in await runs.ended(team_id, user_id, run_id):
        await runs.forget_checkpoints(run.run_id, keep=0)
        prefix = f"{persona_prefix(team_id, user_id)}/runs/{run.run_id}"
        curves = [f"{kept.rpartition('/')[0]}/{CURVES_FOLDER}" for kept in run.kept]
        object_count += await store.forget_all_but(prefix, [*run.kept, *curves])
    return object_count
