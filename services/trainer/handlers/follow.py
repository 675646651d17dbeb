"""One attempt from the newest checkpoint to the child's last word, under the lease."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from doppel.patience import patiently
from proto.artifacts import checkpoint_prefix, curves_prefix
from proto.errors import (
    ArtifactCorrupt,
    BaseModelCorrupt,
    DoppelError,
    TrainingFailed,
    TransientError,
)
from services.trainer.adapters.child import Child, started
from services.trainer.core.job import (
    CURVES_FOLDER,
    CheckpointWritten,
    Failed,
    Finished,
    Job,
    Progressed,
    Stopped,
)
from services.trainer.core.plan import Plan
from services.trainer.core.run import MAX_CHILDREN_LOST
from services.trainer.core.throttle import Throttle
from services.trainer.handlers.hold import GivenBack, Hold
from services.trainer.handlers.news import say_progress
from services.trainer.handlers.options import AWAY_S, Attempt, Tools
from services.trainer.repository import CheckpointRow

log = logging.getLogger(__name__)

KEPT_CHECKPOINTS: Final = 2


async def follow(tools: Tools, attempt: Attempt, hold: Hold) -> Finished:
    """Let the child train. Raises what ends a run, and TransientError where it goes on elsewhere or later."""
    run, lease = attempt.run, attempt.lease
    dataset_folder = attempt.work / "dataset"
    await tools.store.fetch_dataset(attempt.decided.dataset_prefix, attempt.dataset, dataset_folder)
    resumed = await _fetch_newest_checkpoint(tools, attempt)
    job = Job(
        run_id=run.run_id,
        base_model=attempt.decided.base.manifest.name,
        base_folder=str(attempt.decided.base.folder.resolve()),
        base_sha256=attempt.decided.base.manifest.content_sha256,
        dataset_folder=str(dataset_folder),
        work_folder=str(attempt.work),
        resume_folder=str(attempt.work / "resume") if resumed else None,
        system=attempt.system,
        shape=attempt.decided.shape,
        plan=plan_after(lease.lost, attempt.decided.plan),
        device=tools.options.device,
        threads=tools.options.threads,
        silence_s=hold.silence_s,
    )
    async with started(job, tools.options.environment) as child:
        with hold.training(child):
            return await _listen(tools, attempt, child, resumed)


def plan_after(lost: int, plan: Plan) -> Plan:
    """A child that keeps being killed is probably too large for the machine: smaller passes, the same batch."""
    halvings = max(0, lost - MAX_CHILDREN_LOST // 2 + 1)
    return plan.model_copy(update={"micro_batch_tokens": max(64, plan.micro_batch_tokens >> halvings)})


async def _listen(tools: Tools, attempt: Attempt, child: Child, resumed: CheckpointRow | None) -> Finished:
    """What the child says becomes progress, checkpoints, an end."""
    run, throttle, now = attempt.run, Throttle(), asyncio.get_running_loop().time
    lost = attempt.lease.lost + 1  # where this child is
    async with contextlib.aclosing(child.events()) as events:
        async for event in events:
            match event:
                case Progressed():
                    tools.gauges.progress(event)
                    if throttle.may_say(event.stage, now()):
                        await say_progress(
                            tools.bus, run, event.stage, fence=attempt.lease.fence, event=event
                        )
                case CheckpointWritten():
                    await _store_checkpoint(tools, attempt, event)
                    lost = 1  # since it got further
                case Finished():
                    await patiently(lambda: _store_curves(tools, attempt), "the bucket", AWAY_S)
                    return event
                case Stopped():
                    raise GivenBack
                case Failed():
                    raise await _failure(tools, attempt, event, resumed)
    killed = await child.ended()
    if killed.crashed and lost >= MAX_CHILDREN_LOST:
        raise TrainingFailed(
            "The system kept ending this training: there is probably too little memory here."
        )
    raise killed


async def _failure(
    tools: Tools, attempt: Attempt, event: Failed, resumed: CheckpointRow | None
) -> DoppelError:
    log.error("child failed", extra={"run_id": attempt.run.run_id, "code": event.code, "stack": event.stack})
    if event.code == "checkpoint_corrupt" and resumed:
        await tools.runs.forget_checkpoints(attempt.run.run_id, keep=0, only=resumed)
        return TransientError("An older checkpoint is tried.", delay_s=0.1)
    if event.code == "base_mismatch":
        return BaseModelCorrupt(attempt.decided.base.manifest.name)
    if event.code == "dataset_corrupt":
        return ArtifactCorrupt("the dataset")
    return TrainingFailed(event.reason)


async def _fetch_newest_checkpoint(tools: Tools, attempt: Attempt) -> CheckpointRow | None:
    """The newest whole one; a damaged one gives way to the one before it."""
    run = attempt.run
    while row := await tools.runs.newest_checkpoint(run):
        try:
            await tools.store.fetch_checkpoint(row.prefix, row.manifest_sha256, attempt.work / "resume")
        except ArtifactCorrupt:
            log.warning("checkpoint damaged", extra={"run_id": run.run_id, "step": row.step})
            await tools.runs.forget_checkpoints(run.run_id, keep=0, only=row)
            continue
        log.info("run resumed", extra={"run_id": run.run_id, "step": row.step, "fence": attempt.lease.fence})
        return row
    return None


async def _store_curves(tools: Tools, attempt: Attempt) -> None:
    run = attempt.run
    prefix = curves_prefix(run.team_id, run.user_id, run.run_id, attempt.lease.fence)
    await tools.store.store_curves(prefix, attempt.work / CURVES_FOLDER)


async def _store_checkpoint(tools: Tools, attempt: Attempt, event: CheckpointWritten) -> None:
    """Objects under our fence, then the row, then the older ones go.

    While bucket or database are away the child goes on, up to what the pipe between us holds; then it waits too.
    """
    run, fence, store = attempt.run, attempt.lease.fence, tools.store
    prefix = checkpoint_prefix(run.team_id, run.user_id, run.run_id, fence, event.step)
    folder, written_at = Path(event.folder), datetime.now(UTC)

    async def put() -> str:  # the same bytes at each try: the bucket may carry an earlier one out late
        return await store.store_checkpoint(
            prefix, folder, run_id=run.run_id, fence=fence, step=event.step, created_at=written_at
        )

    row = CheckpointRow(fence, event.step, prefix, await patiently(put, "the bucket", AWAY_S))
    await patiently(lambda: tools.runs.add_checkpoint(run, row), "the database", AWAY_S)
    await store.remove(folder)
    await patiently(lambda: _store_curves(tools, attempt), "the bucket", AWAY_S)
    old = await patiently(
        lambda: tools.runs.forget_checkpoints(run.run_id, keep=KEPT_CHECKPOINTS), "the database", AWAY_S
    )
    await patiently(lambda: store.forget(old), "the bucket", AWAY_S)
