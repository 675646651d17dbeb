"""Reports, versions, and what garbage collection leaves alone."""

from datetime import timedelta
from uuid import UUID, uuid4

from doppel.bus.broker import jetstream_of
from doppel.bus.publish import Bus
from doppel.storage import Storage
from proto import subjects
from proto.adapter import AdapterRequest, AdapterResult
from proto.artifacts import (
    REPORT_FILE,
    REPORT_PAGE_FILE,
    AdapterManifest,
    ReportManifest,
    adapter_prefix,
    checkpoint_prefix,
    curves_prefix,
    manifest_key,
)
from proto.report import VoiceReport
from proto.train import RunState
from tests.integration.trainer.conftest import TEAM, Desk
from tests.support.waiting import eventually


async def test_a_published_voice_has_a_report_and_a_lineage(desk: Desk, storage: Storage) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()

    result = await desk.result(await desk.ask("U0ADA", max_steps=12))

    assert result.state is RunState.PUBLISHED, result
    assert result.adapter is not None
    assert result.report is not None
    assert "better than the plain model" in result.report.sentence
    manifest = await storage.get_model(
        ReportManifest, manifest_key(result.report.prefix), sha256=result.report.manifest_sha256
    )
    data = await storage.get_bytes(
        f"{result.report.prefix}/{REPORT_FILE}", sha256=manifest.file(REPORT_FILE).sha256
    )
    report = VoiceReport.model_validate_json(data)
    assert report.measures.test_loss == result.test_loss
    assert report.measures.memorisation is not None
    assert [p.step for p in report.measures.curve if p.train_loss is not None] == list(range(1, 13))
    page = await storage.get_bytes(f"{result.report.prefix}/{REPORT_PAGE_FILE}")
    assert b"data:image/png;base64," in page
    adapter = await storage.get_model(AdapterManifest, manifest_key(result.adapter.prefix))
    row = await desk.row(result.run_id)
    assert adapter.report == result.report
    assert (adapter.dataset_sha256, adapter.code_version) == (row["dataset_sha256"], row["code_version"])
    assert adapter.config["step_count"] == 12


async def test_a_voice_no_better_than_its_base_is_rejected_with_a_report_and_the_former_stays(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    former = await version(desk, storage, age=1, active=True)
    await desk.start()

    result = await desk.result(await desk.ask("U0ADA", max_steps=1, learning_rate=1e-12))

    assert result.state is RunState.REJECTED, result
    assert result.error is not None
    assert "no better than the plain model" in result.error.message
    assert result.report is not None
    assert result.report.sentence == result.error.message
    await desk.settled()
    keys = await storage.list_keys(f"workspaces/{TEAM}/personas/U0ADA/runs/{result.run_id}/")
    assert {key.split("/")[7] for key in keys} == {"report", "tensorboard"}
    assert await names(desk) == {former}
    assert await storage.exists(f"{adapter_prefix(TEAM, 'U0ADA', former, 1)}/weights")


async def test_collection_keeps_the_newest_the_active_one_and_what_a_running_run_needs(
    desk: Desk, storage: Storage
) -> None:
    oldest, active, *newer = [
        await version(desk, storage, age=age, active=age == 5) for age in (6, 5, 4, 3, 2, 1)
    ]
    running = await version(desk, storage, age=9, state="running")
    await storage.put_bytes(f"{checkpoint_prefix(TEAM, 'U0ADA', running, 1, 8)}/x", b"x")
    await storage.put_bytes(
        f"{checkpoint_prefix(TEAM, 'U0ADA', active, 2, 8)}/x", b"of a worker that was too late"
    )
    await storage.put_bytes(f"{curves_prefix(TEAM, 'U0ADA', active, 1)}/events.out.tfevents.1.x", b"x")
    other = await version(desk, storage, age=7, user_id="U0EVE")
    await desk.start()

    dry = await collected(desk, keep=2, dry_run=True)
    assert set(dry.run_ids) == {oldest, *newer[:2]}
    assert len(await names(desk)) == 6

    done = await collected(desk, keep=2)

    assert set(done.run_ids) == {oldest, *newer[:2]}
    assert done.object_count == 3 + 1
    assert await names(desk) == {active, *newer[2:]}
    keys = await storage.list_keys(f"workspaces/{TEAM}/personas/")
    assert {UUID(key.split("/")[5]) for key in keys} == {active, *newer[2:], running, other}
    assert any("/checkpoints/" in key for key in keys)
    assert not any("/2/checkpoints/" in key for key in keys)
    assert (await collected(desk, keep=2)).run_ids == ()


async def test_a_published_run_collects_what_is_beyond_the_deployments_number(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    old = [await version(desk, storage, age=age) for age in (3, 2, 1)]
    await desk.start(adapters_kept=2)

    result = await desk.result(await desk.ask("U0ADA", max_steps=12))

    assert result.state is RunState.PUBLISHED, result
    assert await names(desk) == {old[-1], result.run_id}


async def names(desk: Desk) -> set[UUID]:
    """What inference and gateway see of Ada."""
    rows = await desk.database.fetch("select run_id from trainer.adapters where user_id = 'U0ADA'")
    return {row["run_id"] for row in rows}


async def version(
    desk: Desk,
    storage: Storage,
    *,
    age: int,
    active: bool = False,
    state: str = "published",
    user_id: str = "U0ADA",
) -> UUID:
    """A version that was trained `age` days ago, with one object."""
    run_id = uuid4()
    prefix = adapter_prefix(TEAM, user_id, run_id, 1)
    await storage.put_bytes(f"{prefix}/weights", b"w")
    await desk.database.execute(
        """insert into trainer.runs (run_id, request_id, team_id, user_id, dataset_id, state, holder, lease_until,
               requested_at, adapter_prefix, manifest_sha256)
           values ($1, $1, $2, $3, $1, $4, 'x', now() + interval '1 h', now() - $5::interval, $6, $7)""",
        run_id,
        TEAM,
        user_id,
        state,
        timedelta(days=age),
        prefix,
        "0" * 64,
    )
    if active:
        await desk.database.execute(
            """insert into gateway.active_adapters (team_id, user_id, run_id, prefix, manifest_sha256, requested_at)
               select team_id, user_id, run_id, adapter_prefix, manifest_sha256, requested_at
               from trainer.runs where run_id = $1""",
            run_id,
        )
    return run_id


async def collected(desk: Desk, *, keep: int, dry_run: bool = False) -> AdapterResult:
    """Publish `adapter.request` and wait for its result."""
    request = AdapterRequest(request_id=uuid4(), team_id=TEAM, user_id="U0ADA", keep=keep, dry_run=dry_run)
    await Bus(desk.client, jetstream_of(desk.client)).publish(
        subjects.ADAPTER_REQUEST, request, key=str(request.request_id)
    )

    async def answered() -> AdapterResult | None:
        assert request.request_id is not None
        found = await desk.facts(subjects.ADAPTER_RESULT, request.request_id)
        return found[0] if found else None

    try:
        return await eventually(answered, what="the collection is done", within_s=20)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{desk.log()}") from error
