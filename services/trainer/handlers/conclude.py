"""The end of a training: gate, report, objects, row last."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from doppel.patience import patiently
from proto.artifacts import AdapterManifest, adapter_prefix, report_prefix
from proto.errors import LeaseLost
from proto.report import Measures, ReportRef, VoiceReport
from proto.train import AdapterRef, TrainResult
from services.trainer.core.gate import Verdict, judge, summarise
from services.trainer.core.job import Finished
from services.trainer.core.run import published, rejected
from services.trainer.handlers.news import say_progress
from services.trainer.handlers.options import AWAY_S, Attempt, Tools
from services.trainer.repository import Lineage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """What lies in the bucket when only the row is missing; a rejected run has no adapter."""

    finished: Finished
    result: TrainResult
    lineage: Lineage


async def store_end(tools: Tools, attempt: Attempt, finished: Finished) -> Ending:
    """Gate, report, adapter: everything but the row. While the bucket is away it waits."""
    run, base = attempt.run, attempt.decided.base.manifest
    lineage = Lineage(attempt.decided.dataset_sha256, base.content_sha256, tools.options.code_version)
    measures = await tools.store.read_measures(Path(finished.report_folder))
    verdict = judge(measures)
    report = await _store_report(tools, attempt, finished, measures, verdict)
    if verdict.publish:
        await say_progress(tools.bus, run, "publishing", fence=attempt.lease.fence)
        adapter = await _store_adapter(tools, attempt, finished, report)
        result = published(run, finished, adapter, base_model=base.name, report=report)
    else:
        result = rejected(run, finished, verdict.reason, base_model=base.name, report=report)
    log.info(
        "run judged",
        extra={
            "run_id": run.run_id,
            "state": result.state.value,
            "base_test_loss": round(finished.base_test_loss, 3),
            "test_loss": round(finished.test_loss, 3),
            "train_s": round(finished.train_s, 1),
            "measure_s": round(measures.measure_s, 1),
            "steps": finished.step_count,
            "precision": finished.used.precision,
        },
    )
    return Ending(finished, result, lineage)


async def write_end(tools: Tools, attempt: Attempt, ending: Ending) -> TrainResult:
    """The row: from here on the run has ended. Raises LeaseLost, NoConsent.

    Nothing interrupts this, for a commit that is cut off is one nobody knows of. The lease may run out meanwhile:
    whoever takes over changes the fence, and then this writes nothing.
    """
    run, fence, result = attempt.run, attempt.lease.fence, ending.result

    async def write() -> bool:
        if result.adapter is None:
            return await tools.runs.end(run, fence, result, ending.lineage)
        await tools.runs.commit(run, fence, result.adapter, ending.finished, result, ending.lineage)
        return True

    if not await patiently(write, "the database", AWAY_S):
        raise LeaseLost(run.run_id)
    tools.gauges.ended(result.state.value)
    return result


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
    folder = Path(finished.report_folder)
    sha256 = await patiently(lambda: tools.store.store_report(prefix, folder, report), "the bucket", AWAY_S)
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
    folder, plan = Path(finished.folder), attempt.decided.plan
    files = await patiently(lambda: tools.store.store_adapter_files(prefix, folder), "the bucket", AWAY_S)
    manifest = AdapterManifest(
        created_at=datetime.now(UTC),
        files=files,
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        dataset_id=attempt.decided.dataset_id,
        dataset_sha256=attempt.decided.dataset_sha256,
        base_model=base.name,
        base_model_sha256=base.content_sha256,
        lora_rank=plan.lora_rank,
        config=plan.model_dump(mode="json") | finished.used.model_dump(mode="json"),
        code_version=tools.options.code_version,
        system=attempt.system,
        base_test_loss=finished.base_test_loss,
        test_loss=finished.test_loss,
        step_count=finished.step_count,
        report=report,
    )
    # The same bytes at each try: a first one that the bucket carries out late must not undo the second.
    sha256 = await patiently(
        lambda: tools.store.store_adapter_manifest(prefix, manifest), "the bucket", AWAY_S
    )
    return AdapterRef(run_id=run.run_id, prefix=prefix, manifest_sha256=sha256)
