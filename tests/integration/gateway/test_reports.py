"""A training's report in Slack: in its thread, with a picture, each part once, whatever gets lost on the way."""

import signal
from typing import Any

import aiohttp
import pytest

from doppel.storage import Storage
from proto import subjects
from proto.body import ErrorInfo
from proto.report import ReportRef
from proto.train import RunState, TrainProgress
from tests.integration.gateway.rig import SETTLE_S, SLACK_S, Rig
from tests.integration.gateway.test_training import bot_said
from tests.integration.gateway.trainings import PICTURE, TEAM, Run, agree, begin, ended, store_report
from tests.support.story import text_of
from tests.support.waiting import eventually

PARTS = 3


async def finish(rig: Rig, storage: Storage, run: Run, **more: Any) -> ReportRef:
    ref = await store_report(storage, run)
    await rig.tell(subjects.TRAIN_RESULT, ended(run, report=ref, **more), f"{run.run_id}/end")
    return ref


async def report_of(rig: Rig, channel: str, run: Run, parts: int = PARTS) -> list[dict[str, Any]]:
    """The thread below the progress message, once it is whole."""
    root = await rig.row("select message_ts from gateway.outbox where trigger = $1", f"run:{run.run_id}")

    async def whole() -> list[dict[str, Any]] | None:
        found = await rig.workspace.bot_messages(channel, root["message_ts"])
        return found[1:] if len(found) > parts else None

    return await eventually(whole, what="the report", within_s=30)


async def test_a_training_ends_with_its_report_in_the_thread(
    rig: Rig, storage: Storage, http: aiohttp.ClientSession
) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "eng", "U0GRACE")
    queued = TrainProgress(
        request_id=run.request_id, run_id=run.run_id, team_id=TEAM, user_id="U0GRACE", stage="queued",
        queue_position=2,
    )  # fmt: skip
    await rig.tell(subjects.TRAIN_PROGRESS, queued, f"{run.run_id}/q")
    await bot_said(rig, "eng", "2nd in the queue")
    await finish(rig, storage, run)
    done = await bot_said(rig, "eng", "<@U0GRACE> is ready")
    assert "20% better. The report is in this thread." in done["text"]

    numbers, samples, picture = await report_of(rig, "eng", run)
    assert "5 of 5 checks are good" in numbers["text"]
    assert "Grace" in numbers["text"]
    assert [f"generated gull number {n}" in text_of(samples) for n in range(4)] == [True, True, True, False]
    assert "AI-generated in Grace" in text_of(samples)
    assert "REAL WORDS" not in text_of(numbers) + text_of(samples)
    (file,) = picture["files"]
    assert "held-out loss" in file["alt_txt"]
    async with http.get(file["url_private"]) as shown:
        assert (await shown.read()) == PICTURE
    await rig.settled()


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("files.completeUploadExternal", "reset_after"),
        ("files.completeUploadExternal", "reset_before"),
        ("files.completeUploadExternal", "status_after"),
        ("files.getUploadURLExternal", "reset_after"),
        ("upload", "status"),
        ("upload", "reset_before"),
    ],
)
async def test_a_lost_answer_is_one_picture(rig: Rig, storage: Storage, method: str, kind: str) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "random", "U0GRACE")
    await rig.workspace.fault(method, kind, count=1)
    await finish(rig, storage, run)
    await report_of(rig, "random", run)
    await rig.settled(within_s=SETTLE_S + 20)
    assert [bool(m.get("files")) for m in await report_of(rig, "random", run)] == [False, False, True]


async def test_a_result_that_is_told_twice_is_one_report(rig: Rig, storage: Storage) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "random", "U0GRACE")
    ref = await finish(rig, storage, run)
    await rig.tell(subjects.TRAIN_RESULT, ended(run, report=ref), f"{run.run_id}/again")
    await report_of(rig, "random", run)

    async def read() -> bool:
        info = await rig.engine.jetstream.consumer_info("FACTS", "gateway")
        return not info.num_pending and not info.num_ack_pending

    await eventually(read, what="every fact is read")
    await rig.settled()
    assert len(await report_of(rig, "random", run)) == PARTS


async def test_a_rejected_training_says_why_and_that_the_former_version_answers(
    rig: Rig, storage: Storage
) -> None:
    await agree(rig, "U0GRACE", "Grace")
    first = await begin(rig, "dev", "eng", "U0GRACE")
    await finish(rig, storage, first)
    await report_of(rig, "eng", first)
    run = await begin(rig, "dev", "eng", "U0GRACE")
    reason = "The trained voice is no better than the plain model."
    ref = await store_report(storage, run, "rejected")
    rejected = ended(run, RunState.REJECTED, report=ref, error=ErrorInfo(code="rejected", message=reason))
    await rig.tell(subjects.TRAIN_RESULT, rejected, f"{run.run_id}/rejected")
    await bot_said(rig, "eng", f"{reason} The version before it still answers as <@U0GRACE>.")
    numbers, picture = await report_of(rig, "eng", run, parts=2)
    assert "new voice is not used" in numbers["text"]
    assert picture["files"]
    assert "generated gull" not in text_of(numbers)
    active = await rig.row("select run_id from gateway.active_adapters where user_id = 'U0GRACE'")
    assert active["run_id"] == first.run_id


async def test_a_damaged_report_does_not_stop_the_voice(rig: Rig, storage: Storage) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "eng", "U0GRACE")
    ref = await store_report(storage, run)
    await storage.put_bytes(f"{ref.prefix}/report.json", b"{}")
    await rig.tell(subjects.TRAIN_RESULT, ended(run, report=ref), f"{run.run_id}/end")
    root = await bot_said(rig, "eng", "<@U0GRACE> is ready")

    async def active() -> bool:
        row = await rig.row("select run_id from gateway.active_adapters where user_id = 'U0GRACE'")
        return row is not None and row["run_id"] == run.run_id

    await eventually(active, what="the version is active")
    await rig.settled()
    row = await rig.row("select message_ts from gateway.outbox where trigger = $1", f"run:{run.run_id}")
    assert root
    assert len(await rig.workspace.bot_messages("eng", row["message_ts"])) == 1


async def test_where_slack_takes_no_picture_a_sentence_says_so(rig: Rig, storage: Storage) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "eng", "U0GRACE")
    await rig.workspace.fault("files.getUploadURLExternal", "error", count=1, error="missing_scope")
    await finish(rig, storage, run)
    *_, last = await report_of(rig, "eng", run)
    assert "can't be shown here (missing_scope)" in last["text"]
    await rig.settled()


async def test_a_replica_killed_while_it_shares_leaves_one_picture(
    rig: Rig, storage: Storage, http: aiohttp.ClientSession
) -> None:
    """Whoever finds the row looks in the thread for the file whose id was written down."""
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "random", "U0GRACE")
    await rig.workspace.fault("files.completeUploadExternal", "slow", count=1, delay_s=SLACK_S / 2)
    await finish(rig, storage, run)

    async def shares() -> bool:
        row = await rig.row(
            "select body->'picture'->>'file_id' as file_id from gateway.outbox where trigger = $1 and part = 2",
            f"report:{run.run_id}",
        )
        return row is not None and row["file_id"] is not None

    await eventually(shares, what="the file id is written down", within_s=20)
    for replica in rig.replicas:
        await replica.stop(signal.SIGKILL)
    for replica in rig.replicas:
        await replica.start(http)
    await report_of(rig, "random", run)
    await rig.settled(within_s=SETTLE_S + 20)
    assert [bool(m.get("files")) for m in await report_of(rig, "random", run)] == [False, False, True]


async def test_a_no_before_the_report_is_out_keeps_it_in(rig: Rig, storage: Storage) -> None:
    await agree(rig, "U0GRACE", "Grace")
    run = await begin(rig, "dev", "eng", "U0GRACE")
    await rig.workspace.fault("files.getUploadURLExternal", "ratelimited", count=1, retry_after=2)
    await finish(rig, storage, run)
    await report_of(rig, "eng", run, parts=2)
    await rig.change(
        """insert into gateway.consents (team_id, user_id, granted, recorded_by, source_key)
           values ($1, 'U0GRACE', false, 'person', $2)""",
        TEAM, str(run.run_id),
    )  # fmt: skip
    await rig.settled()
    assert len(await report_of(rig, "eng", run, parts=2)) == 2
    row = await rig.row(
        "select state from gateway.outbox where trigger = $1 and part = 2", f"report:{run.run_id}"
    )
    assert row["state"] == "failed"
