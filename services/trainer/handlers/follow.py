"""One attempt from the newest checkpoint to the child's last word, under the lease."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from doppel.transient import is_transient
from proto.artifacts import checkpoint_prefix, curves_prefix
from proto.errors import (
    ArtifactCorrupt,
    BaseModelCorrupt,
    Cancelled,
    DoppelError,
    TrainingFailed,
    TransientError,
)
from services.trainer.adapters.child import Child, started
from services.trainer.adapters.lease import kept
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
from services.trainer.core.run import MAX_CHILD_KILLS
from services.trainer.core.throttle import Throttle
from services.trainer.handlers.news import say_progress, tell_the_queue
from services.trainer.handlers.options import Attempt, Tools
from services.trainer.repository import CheckpointRow

log = logging.getLogger(__name__)

T = TypeVar("T")
RENEWS_PER_LEASE: Final = 3
KEPT_CHECKPOINTS: Final = 2
AWAY_S: Final = 600.0  # after that the run goes back and is resumed from its last stored checkpoint
RETRY_S: Final = 2.0


async def follow(tools: Tools, attempt: Attempt, cancelled: asyncio.Event) -> Finished:
    """Let the child train. Raises what ends a run, and TransientError where it goes on elsewhere or later."""
    run, lease = attempt.run, attempt.lease
    dataset_folder = attempt.work / "dataset"
    await tools.store.fetch_dataset(attempt.decided.dataset_prefix, attempt.dataset, dataset_folder)
    resumed = await _fetch_newest_checkpoint(tools, attempt)
    lease_ttl_s = tools.options.lease_ttl_s
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
        plan=plan_after(lease.crashes, attempt.decided.plan),
        device=tools.options.device,
        threads=tools.options.threads,
        silence_s=lease_ttl_s * 2 / RENEWS_PER_LEASE,
    )
    async with started(job, tools.options.environment) as child:

        async def renew() -> None:
            await tools.runs.renew(run, lease.fence)
            child.beat()

        async def obey_cancel() -> None:
            await cancelled.wait()
            raise Cancelled

        async def obey_stop() -> None:
            await tools.stopping()
            child.terminate()

        async def tell() -> None:
            await tell_the_queue(tools.bus, tools.queue, every_s=tools.options.queue_poll_s)

        watchers = (obey_cancel, obey_stop, tell)
        async with kept(renew, every_s=lease_ttl_s / RENEWS_PER_LEASE, watchers=watchers):
            return await _listen(tools, attempt, child, resumed)


def plan_after(crashes: int, plan: Plan) -> Plan:
    """A child that keeps being killed is probably too large for the machine: smaller passes, the same batch."""
    if crashes < MAX_CHILD_KILLS // 2:
        return plan
    return plan.model_copy(update={"micro_batch_tokens": max(64, plan.micro_batch_tokens // 2)})


async def _listen(tools: Tools, attempt: Attempt, child: Child, resumed: CheckpointRow | None) -> Finished:
    """What the child says becomes progress, checkpoints, an end."""
    run, throttle, now = attempt.run, Throttle(), asyncio.get_running_loop().time
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
                case Finished():
                    await _store_curves(tools, attempt)
                    return event
                case Stopped():
                    raise TransientError("This training goes on elsewhere.", delay_s=0.1)
                case Failed():
                    raise await _failure(tools, attempt, event, resumed)
    killed = await child.ended()
    if killed.crashed and attempt.lease.crashes + 1 >= MAX_CHILD_KILLS:
        raise TrainingFailed(
            "The system kept ending this training: there is probably too little memory here."
        )
    raise killed


async def _failure(
    tools: Tools, attempt: Attempt, event: Failed, resumed: CheckpointRow | None
) -> DoppelError:
    log.error("child failed", extra={"run_id": attempt.run.run_id, "code": event.code, "stack": event.stack})
    if event.code == "checkpoint_corrupt" and resumed:
        await tools.runs.forget_checkpoints(attempt.run, keep=0, only=resumed)
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
            await tools.runs.forget_checkpoints(run, keep=0, only=row)
            continue
        log.info("run resumed", extra={"run_id": run.run_id, "step": row.step, "fence": attempt.lease.fence})
        return row
    return None


async def _patiently(store: Callable[[], Awaitable[T]]) -> T:
    """While bucket or database are away the child goes on, up to what the pipe between us holds; then it waits too."""
    async with asyncio.timeout(AWAY_S):
        while True:
            try:
                return await store()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("not stored yet", extra={"error": type(error).__name__})
            await asyncio.sleep(RETRY_S)


async def _store_curves(tools: Tools, attempt: Attempt) -> None:
    run = attempt.run
    prefix = curves_prefix(run.team_id, run.user_id, run.run_id, attempt.lease.fence)
    await _patiently(lambda: tools.store.store_curves(prefix, attempt.work / CURVES_FOLDER))


async def _store_checkpoint(tools: Tools, attempt: Attempt, event: CheckpointWritten) -> None:
    """Objects under our fence, then the row, then the older ones go."""
    run, fence, store = attempt.run, attempt.lease.fence, tools.store
    prefix = checkpoint_prefix(run.team_id, run.user_id, run.run_id, fence, event.step)
    folder = Path(event.folder)
    sha256 = await _patiently(
        lambda: store.store_checkpoint(prefix, folder, run_id=run.run_id, fence=fence, step=event.step)
    )
    row = CheckpointRow(fence, event.step, prefix, sha256)
    await _patiently(lambda: tools.runs.add_checkpoint(run, row))
    await _store_curves(tools, attempt)
    old = await _patiently(lambda: tools.runs.forget_checkpoints(run, keep=KEPT_CHECKPOINTS))
    await _patiently(lambda: store.forget(old))
