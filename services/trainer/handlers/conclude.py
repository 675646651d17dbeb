"""The end of a training: gate, report, objects, row last; then what nobody needs any more goes."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from proto.artifacts import AdapterManifest, adapter_prefix, report_prefix, run_prefix
from proto.errors import LeaseLost
from proto.report import Measures, ReportRef, VoiceReport
from proto.train import AdapterRef, TrainResult
from services.trainer.core.gate import Verdict, judge, summarise
from services.trainer.core.job import Finished
from services.trainer.core.run import Run, published, rejected
from services.trainer.handlers.collect import collect
from services.trainer.handlers.news import say_progress
from services.trainer.handlers.options import Attempt, Tools
from services.trainer.repository import Lineage

log = logging.getLogger(__name__)


async def conclude(tools: Tools, attempt: Attempt, finished: Finished) -> TrainResult:
    """Publish or reject; the row is written when this returns. Raises LeaseLost, NoConsent."""
    run, fence, base = attempt.run, attempt.lease.fence, attempt.decided.base.manifest
    lineage = Lineage(attempt.decided.dataset_sha256, base.content_sha256, tools.options.code_version)
    measures = await tools.store.read_measures(Path(finished.report_folder))
    verdict = judge(measures)
    report = await _store_report(tools, attempt, finished, measures, verdict)
    if verdict.publish:
        await say_progress(tools.bus, run, "publishing", fence=fence)
        adapter = await _store_adapter(tools, attempt, finished, report)
        result = published(run, finished, adapter, base_model=base.name, report=report)
        await tools.runs.commit(run, fence, adapter, finished, result, lineage)
    else:
        result = rejected(run, finished, verdict.reason, base_model=base.name, report=report)
        if not await tools.runs.end(run, fence, result, lineage):
            raise LeaseLost(run.run_id)
    tools.gauges.ended(result.state.value)
    log.info(
        "run ended",
        extra={
            "run_id": run.run_id,
            "state": result.state.value,
            "base_test_loss": round(finished.base_test_loss, 3),
            "test_loss": round(finished.test_loss, 3),
            "train_s": round(finished.train_s, 1),
            "measure_s": round(measures.measure_s, 1),
            "steps": finished.step_count,
            "precision": finished.precision,
        },
    )
    # Nobody resumes an ended run: its checkpoints go, and where nothing was published all but the report.
    await tools.runs.forget_checkpoints(run, keep=0)
    await collect(
        tools.runs, tools.store, run.team_id, run.user_id, keep=tools.options.adapters_kept, dry_run=False
    )
    return result


def whole_run(run: Run) -> str:
    """What every holder of the run has written."""
    return run_prefix(run.team_id, run.user_id, run.run_id, 0).rpartition("/")[0]


async def _store_report(
    tools: Tools, attempt: Attempt, finished: Finished, measures: Measures, verdict: Verdict
) -> ReportRef:
    run = attempt.run
    prefix = report_prefix(run.team_id, run.user_id, run.run_id, attempt.lease.fence)
    report = VoiceReport(
        created_at=datetime.now(UTC),
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        dataset_id=attempt.decided.dataset_id,
        base_model=attempt.decided.base.manifest.name,
        code_version=tools.options.code_version,
        state="published" if verdict.publish else "rejected",
        sentence=summarise(measures) if verdict.publish else verdict.reason,
        measures=measures,
    )
    sha256 = await tools.store.store_report(prefix, Path(finished.report_folder), report)
    style, authorship, recited = measures.style, measures.authorship, measures.memorisation
    return ReportRef(
        prefix=prefix,
        manifest_sha256=sha256,
        sentence=report.sentence,
        style_to_own=style.to_own if style else None,
        style_to_others=style.to_others if style else None,
        authorship=authorship.generated if authorship else None,
        overlap_words=max(recited.overlap_words, recited.extracted_words) if recited else None,
    )


async def _store_adapter(tools: Tools, attempt: Attempt, finished: Finished, report: ReportRef) -> AdapterRef:
    run, base = attempt.run, attempt.decided.base.manifest
    prefix = adapter_prefix(run.team_id, run.user_id, run.run_id, attempt.lease.fence)
    manifest = AdapterManifest(
        created_at=datetime.now(UTC),
        files=await tools.store.store_adapter_files(prefix, Path(finished.folder)),
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        dataset_id=attempt.decided.dataset_id,
        dataset_sha256=attempt.decided.dataset_sha256,
        base_model=base.name,
        base_model_sha256=base.content_sha256,
        lora_rank=attempt.decided.plan.lora_rank,
        config=attempt.decided.plan.model_dump(mode="json"),
        code_version=tools.options.code_version,
        system=attempt.system,
        base_test_loss=finished.base_test_loss,
        test_loss=finished.test_loss,
        step_count=finished.step_count,
        report=report,
    )
    sha256 = await tools.store.store_adapter_manifest(prefix, manifest)
    return AdapterRef(run_id=run.run_id, prefix=prefix, manifest_sha256=sha256)
