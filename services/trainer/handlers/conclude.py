"""The end of a training: gate, objects, row last."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from proto.artifacts import AdapterManifest, adapter_prefix, run_prefix
from proto.train import AdapterRef, TrainResult
from services.trainer.core.gate import judge
from services.trainer.core.job import Finished
from services.trainer.core.run import Run, published, rejected
from services.trainer.handlers.news import say_progress
from services.trainer.handlers.options import Attempt, Tools

log = logging.getLogger(__name__)


async def conclude(tools: Tools, attempt: Attempt, finished: Finished) -> TrainResult:
    """Publish or reject; the row is written when this returns. Raises LeaseLost, NoConsent."""
    run, fence, base = attempt.run, attempt.lease.fence, attempt.decided.base.manifest
    verdict = judge(finished.base_test_loss, finished.test_loss)
    if verdict.publish:
        await say_progress(tools.bus, run, "publishing", fence=fence)
        adapter = await _store_adapter(tools, attempt, finished)
        result = published(run, finished, adapter, base_model=base.name)
        await tools.runs.commit(run, fence, adapter, finished, result)
    else:
        result = rejected(run, finished, verdict.reason, base_model=base.name)
        await tools.runs.end(run, fence, result)
    tools.gauges.ended(result.state.value)
    log.info(
        "run ended",
        extra={
            "run_id": run.run_id,
            "state": result.state.value,
            "base_test_loss": round(finished.base_test_loss, 3),
            "test_loss": round(finished.test_loss, 3),
            "train_s": round(finished.train_s, 1),
            "steps": finished.step_count,
            "precision": finished.precision,
        },
    )
    # Nobody resumes an ended run: its checkpoints go, and where nothing was published everything.
    gone = await tools.runs.forget_checkpoints(run, keep=0)
    await tools.store.forget(gone if verdict.publish else [whole_run(run)])
    return result


def whole_run(run: Run) -> str:
    """What every holder of the run has written."""
    return run_prefix(run.team_id, run.user_id, run.run_id, 0).rpartition("/")[0]


async def _store_adapter(tools: Tools, attempt: Attempt, finished: Finished) -> AdapterRef:
    run, base = attempt.run, attempt.decided.base.manifest
    prefix = adapter_prefix(run.team_id, run.user_id, run.run_id, attempt.lease.fence)
    manifest = AdapterManifest(
        created_at=datetime.now(UTC),
        files=await tools.store.store_adapter_files(prefix, Path(finished.folder)),
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        dataset_id=attempt.decided.dataset_id,
        base_model=base.name,
        base_model_sha256=base.content_sha256,
        lora_rank=attempt.decided.plan.lora_rank,
        system=attempt.system,
        base_test_loss=finished.base_test_loss,
        test_loss=finished.test_loss,
        step_count=finished.step_count,
    )
    sha256 = await tools.store.store_adapter_manifest(prefix, manifest)
    return AdapterRef(run_id=run.run_id, prefix=prefix, manifest_sha256=sha256)
