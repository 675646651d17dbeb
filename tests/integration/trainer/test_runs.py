"""From `train.request` to an adapter in the bucket, and every expected no."""

import asyncio
import json
from uuid import uuid4

from safetensors.numpy import load

from doppel.storage import Storage
from proto.artifacts import AdapterManifest, dataset_prefix, manifest_key, split_file
from proto.generate import Cancel
from proto.train import RunState
from tests.integration.trainer.conftest import Desk
from tests.support.desk import end
from tests.support.waiting import eventually


async def test_a_persona_with_consent_gets_an_adapter_that_beats_the_base(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    dataset_id = await desk.dataset("U0ADA")
    await desk.start()
    request_id = uuid4()
    run_id = await desk.ask("U0ADA", request_id=request_id, max_steps=12)

    result = await desk.result(run_id)

    assert result.state is RunState.PUBLISHED, result
    assert result.adapter is not None
    assert result.test_loss is not None
    assert result.base_test_loss is not None
    assert result.test_loss < result.base_test_loss
    row = await desk.row(run_id)
    assert (row["state"], row["fence"], row["manifest_sha256"]) == (
        "published",
        1,
        result.adapter.manifest_sha256,
    )
    manifest = await storage.get_model(
        AdapterManifest, manifest_key(result.adapter.prefix), sha256=result.adapter.manifest_sha256
    )
    assert (manifest.dataset_id, manifest.run_id) == (dataset_id, run_id)
    assert "Ada" in manifest.system
    config = json.loads(await _file(storage, manifest, result.adapter.prefix, "adapter_config.json"))
    weights = load(await _file(storage, manifest, result.adapter.prefix, "adapter_model.safetensors"))
    assert (config["r"], len(weights)) == (
        manifest.lora_rank,
        2 * 7 * 2,
    )  # A and B of seven projections, two layers
    stages = {progress.stage for progress in await desk.progress(run_id)}
    assert {"preparing", "training", "publishing"} <= stages
    # Its checkpoints are gone, the adapter stays, and its report.
    keys = await storage.list_keys(f"workspaces/T0TRAIN/personas/U0ADA/runs/{run_id}/")
    curves = [key for key in keys if f"/runs/{run_id}/1/tensorboard/events." in key]
    assert len(curves) == 1
    assert {key.rpartition("/")[2] for key in keys if key not in curves} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
        "report.json",
        "report.html",
        "loss.png",
    }

    # The same request again, after its end: the same news and no second run.
    await desk.ask("U0ADA", request_id=request_id, again="/again", max_steps=12)
    await desk.settled()
    assert await desk.database.fetchval("select count(*) from trainer.runs") == 1
    assert len(await desk.results(run_id)) == 1


async def _file(storage: Storage, manifest: AdapterManifest, prefix: str, name: str) -> bytes:
    return await storage.get_bytes(f"{prefix}/{name}", sha256=manifest.file(name).sha256)


async def test_every_expected_no_is_a_typed_result_and_leaves_nothing(desk: Desk) -> None:
    await desk.dataset("U0EVE")  # never asked
    await desk.consent("U0BOB")  # never cut
    await desk.consent("U0TIM")
    await desk.dataset("U0TIM", train=3)
    await desk.consent("U0MAX")
    await desk.dataset("U0MAX")
    await desk.consent("U0BAD")
    damaged = await desk.dataset("U0BAD")
    key = f"{dataset_prefix('T0TRAIN', 'U0BAD', damaged, 1)}/{split_file('train')}"
    await desk.storage.put_bytes(key, b"something else")
    await desk.start()
    runs = {
        "no_consent": await desk.ask("U0EVE"),
        "dataset_missing": await desk.ask("U0BOB"),
        "dataset_too_small": await desk.ask("U0TIM"),
        "plan_invalid": await desk.ask("U0MAX", lora_rank=128),
        "artifact_corrupt": await desk.ask("U0BAD"),
    }
    unknown_knob = await desk.ask("U0MAX", learning_rat=0.1)

    for code, run_id in runs.items():
        result = await desk.result(run_id, within_s=30)
        assert (result.state, result.error and result.error.code) == (RunState.FAILED, code)
    said = (await desk.result(unknown_knob, within_s=30)).error
    assert said is not None
    assert (said.code, "did you mean learning_rate?" in said.message) == ("plan_invalid", True)
    await desk.settled()
    # Only what was begun has a row, and of that nothing else is left.
    rows = await desk.database.fetch("select run_id, state from trainer.runs")
    assert [(row["run_id"], row["state"]) for row in rows] == [(runs["artifact_corrupt"], "failed")]
    assert [key for key in await desk.storage.list_keys("workspaces/") if "/runs/" in key] == []
    # And the service is alive.
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    assert (await desk.result(await desk.ask("U0ADA", max_steps=12))).state is RunState.PUBLISHED


async def test_a_cancel_ends_the_run_within_seconds_and_leaves_nothing(desk: Desk, storage: Storage) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=400)
    await desk.checkpointed(run_id, step=0)

    began = asyncio.get_running_loop().time()
    await desk.client.publish(f"train.cancel.{run_id}", Cancel().model_dump_json().encode())
    result = await desk.result(run_id, within_s=5)

    assert asyncio.get_running_loop().time() - began < 5
    assert (result.state, result.error and result.error.code) == (RunState.CANCELLED, "cancelled")
    await desk.settled()
    assert (await desk.row(run_id))["state"] == "cancelled"
    assert await storage.list_keys(f"workspaces/T0TRAIN/personas/U0ADA/runs/{run_id}/") == []
    assert desk.children() == []


async def test_consent_withdrawn_while_training_cancels_the_run_and_leaves_nothing(
    desk: Desk, storage: Storage
) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=400)
    await desk.checkpointed(run_id, step=0)

    await desk.consent("U0ADA", granted=False)

    result = await desk.result(run_id, within_s=30)
    assert (result.state, result.error and result.error.code) == (RunState.CANCELLED, "cancelled")
    await desk.settled()
    assert (await desk.row(run_id))["state"] == "cancelled"
    assert await storage.list_keys(f"workspaces/T0TRAIN/personas/U0ADA/runs/{run_id}/") == []


async def test_a_second_run_of_the_same_persona_waits_for_the_first(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start()
    await desk.start()
    first = await desk.ask("U0ADA", max_steps=30)

    async def running() -> bool:
        return bool(await desk.database.fetchval("select true from trainer.runs where run_id = $1", first))

    await eventually(running, what="the first run is under way")
    second = await desk.ask("U0ADA", max_steps=2)

    assert (await desk.result(first)).state is RunState.PUBLISHED
    assert (await desk.result(second)).state in {RunState.PUBLISHED, RunState.REJECTED}
    assert "queued" in {progress.stage for progress in await desk.progress(second)}


async def test_what_slacks_api_gave_is_trained_on_with_the_operators_word_only(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA", source="api")
    without = await desk.start()

    refused = await desk.result(await desk.ask("U0ADA", max_steps=1))

    assert refused.error is not None
    assert refused.error.code == "source_not_allowed"
    await desk.settled()
    assert await desk.dead("train.request") == 0
    await end(without)
    await desk.start(train_on_slack_api="i-have-slacks-permission")
    result = await desk.result(await desk.ask("U0ADA", max_steps=1))
    assert result.error is None or result.error.code != "source_not_allowed"


async def test_who_waits_hears_their_place_in_the_queue(desk: Desk) -> None:
    for user_id in ("U0ADA", "U0BOB", "U0EVE"):
        await desk.consent(user_id)
        await desk.dataset(user_id)
    first = await desk.ask("U0ADA", max_steps=30)
    second, third = await desk.ask("U0BOB", max_steps=2), await desk.ask("U0EVE", max_steps=2)
    await desk.start()

    async def told() -> bool:
        places = [{said.queue_position for said in await desk.progress(run_id)} for run_id in (second, third)]
        return 1 in places[0] and 2 in places[1]

    await eventually(told, what="both hear where they stand", within_s=90)
    assert all(said.queue_position is None for said in await desk.progress(first))


async def test_an_absent_base_model_is_said(desk: Desk) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.start(base_model="nobody-prepared-this")
    result = await desk.result(await desk.ask("U0ADA"), within_s=30)
    assert (result.state, result.error and result.error.code) == (RunState.FAILED, "base_model_missing")
    await desk.settled()
