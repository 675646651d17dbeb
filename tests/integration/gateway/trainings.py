"""What tests of a training's end share: a run with a stored report, as the trainer leaves it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from doppel.storage import Storage
from proto.artifacts import FileEntry, ReportManifest, manifest_key, report_prefix
from proto.report import (
    Authorship,
    Example,
    Measures,
    Memorisation,
    Repetition,
    ReportRef,
    Style,
    VoiceReport,
)
from proto.train import AdapterRef, RunState, TrainResult
from tests.integration.gateway.rig import Rig
from tests.support.waiting import eventually

TEAM = "T0DOPPEL"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"a picture of losses" * 20


@dataclass(frozen=True)
class Run:
    """A training that somebody asked for, as far as the trainer knows it."""

    request_id: UUID
    run_id: UUID
    user_id: str

    @property
    def adapter(self) -> AdapterRef:
        """What it published."""
        prefix = f"workspaces/{TEAM}/personas/{self.user_id}/runs/{self.run_id}/1/adapter"
        return AdapterRef(run_id=self.run_id, prefix=prefix, manifest_sha256="0" * 64)


async def agree(rig: Rig, user_id: str, name: str = "") -> None:
    """A person's yes, given elsewhere."""
    await rig.change(
        """insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)
           values ($1, $2, true, 'operator', $3)""",
        TEAM, user_id, str(uuid4()),
    )  # fmt: skip
    if name:
        await rig.change(
            "insert into gateway.personas (team_id, user_id, name) values ($1, $2, $3) on conflict do nothing",
            TEAM, user_id, name,
        )  # fmt: skip


async def begin(rig: Rig, asker: str, channel: str, user_id: str) -> Run:
    """Ask for a training of somebody who agrees; the scrape is asked for when this returns."""
    before = {each["request_id"] for each in await rig.facts("scrape.request")}
    await rig.workspace.command(asker, channel, f"train <@{user_id}>")

    async def asked() -> Any:
        found = [each for each in await rig.facts("scrape.request") if each["request_id"] not in before]
        return next((each for each in found if each.get("user_id") == user_id), None)

    scrape = await eventually(asked, what=f"a scrape for {user_id}", within_s=15)
    row = await rig.row(
        "select run_id from gateway.trainings where request_id = $1", UUID(scrape["request_id"])
    )
    return Run(UUID(scrape["request_id"]), row["run_id"], user_id)


async def store_report(storage: Storage, run: Run, state: str = "published", **changes: Any) -> ReportRef:
    """Page, plot and numbers in the bucket."""
    measures = Measures(
        base_test_loss=3.0, test_loss=2.4, validation_loss=2.5, test_samples=40, answers=6,
        style=Style(to_own=0.41, to_others=0.9, base_to_own=1.1),
        authorship=Authorship(generated=0.75, base=0.1, real=0.88, others=0.12, trained_on=300),
        repetition=Repetition(within=0.02, own_within=0.03, identical=0.0, looping=0.0),
        memorisation=Memorisation(overlap_words=4, extracted_words=3, probed=40, canaries=2, canaries_out=0),
        examples=tuple(
            Example(real=f"REAL WORDS OF HERS {n}", generated=f"generated gull number {n}") for n in range(4)
        ),
    ).model_copy(update=changes)  # fmt: skip
    report = VoiceReport.model_validate(
        {
            "created_at": datetime.now(UTC), "run_id": run.run_id, "team_id": TEAM, "user_id": run.user_id,
            "dataset_id": uuid4(), "base_model": "tiny", "code_version": "x", "state": state,
            "sentence": "It foresees held-out messages 20% better.", "measures": measures,
        }
    )  # fmt: skip
    prefix = report_prefix(TEAM, run.user_id, run.run_id, 1)
    contents = {"report.json": report.model_dump_json().encode(), "report.html": b"<p>", "loss.png": PICTURE}
    files = tuple(
        FileEntry(name=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    )
    for name, data in contents.items():
        await storage.put_bytes(f"{prefix}/{name}", data)
    manifest = ReportManifest(created_at=report.created_at, files=files, run_id=run.run_id)
    sha256 = await storage.put_model(manifest_key(prefix), manifest)
    return ReportRef(prefix=prefix, manifest_sha256=sha256, sentence=report.sentence)


def ended(run: Run, state: RunState = RunState.PUBLISHED, **more: Any) -> TrainResult:
    """What the trainer tells in the end."""
    fields: dict[str, Any] = {
        "request_id": run.request_id,
        "run_id": run.run_id,
        "team_id": TEAM,
        "user_id": run.user_id,
        "state": state,
        "requested_at": datetime.now(UTC),
        "base_model": "tiny",
        "adapter": run.adapter if state is RunState.PUBLISHED else None,
    }
    return TrainResult.model_validate(fields | more)


async def insert_run(rig: Rig, run: Run, ref: ReportRef | None = None, state: str = "published") -> None:
    """The trainer's row of it."""
    await rig.change(
        """insert into trainer.runs (run_id, request_id, team_id, user_id, dataset_id, state, holder, lease_until,
               requested_at, adapter_prefix, manifest_sha256, report_prefix, report_manifest_sha256)
           values ($1, $2, $3, $4, $1, $5, 'x', now(), now(), $6, $7, $8, $9)""",
        run.run_id, run.request_id, TEAM, run.user_id, state, run.adapter.prefix, run.adapter.manifest_sha256,
        ref and ref.prefix, ref and ref.manifest_sha256,
    )  # fmt: skip
