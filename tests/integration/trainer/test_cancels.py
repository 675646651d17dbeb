"""A cancel is heard wherever its run is: queued, between two holders, or not there yet. And wishes that can't be."""

import json
import signal
from typing import Any
from uuid import UUID, uuid4

import pytest

from doppel.bus.broker import jetstream_of
from proto.generate import Cancel
from proto.train import RunState, run_id_of
from tests.integration.trainer.conftest import TEAM, Desk
from tests.support.waiting import eventually

PROMISED_S = 5


async def cancel(desk: Desk, run_id: UUID) -> None:
    await desk.client.publish(f"train.cancel.{run_id}", Cancel().model_dump_json().encode())
    await desk.client.flush()


async def people(desk: Desk, *user_ids: str) -> None:
    for user_id in user_ids:
        await desk.consent(user_id)
        await desk.dataset(user_id)


async def test_a_run_in_the_queue_is_cancelled_before_its_turn(desk: Desk) -> None:
    await people(desk, "U0ADA", "U0BOB")
    await desk.start()
    first = await desk.ask("U0ADA", max_steps=400)
    await desk.checkpointed(first, step=0)
    queued = await desk.ask("U0BOB", max_steps=2)

    await cancel(desk, queued)

    assert (await desk.result(queued, within_s=PROMISED_S)).state is RunState.CANCELLED
    await cancel(desk, first)
    assert (await desk.result(first, within_s=PROMISED_S)).state is RunState.CANCELLED
    await desk.settled()
    assert await desk.database.fetchval("select count(*) from trainer.runs where user_id = 'U0BOB'") == 0
    assert len(await desk.results(queued)) == 1


async def test_a_cancel_that_comes_before_its_request_counts(desk: Desk) -> None:
    await people(desk, "U0ADA")
    await desk.start()
    request_id = uuid4()
    run_id = run_id_of(request_id, "U0ADA")
    await cancel(desk, run_id)

    async def written() -> bool:
        return bool(await desk.database.fetchval("select count(*) from trainer.cancels"))

    await eventually(written, what="the wish is written down", within_s=PROMISED_S)
    await desk.ask("U0ADA", request_id=request_id, max_steps=400)
    assert (await desk.result(run_id, within_s=15)).state is RunState.CANCELLED
    again = await desk.ask("U0ADA", max_steps=12)
    assert (await desk.result(again)).state is RunState.PUBLISHED


async def test_a_run_whose_worker_died_is_cancelled_by_another_one(desk: Desk) -> None:
    await people(desk, "U0ADA")
    worker = await desk.start()
    run_id = await desk.ask("U0ADA", max_steps=400)
    await desk.checkpointed(run_id, step=0)
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    await desk.start()

    await cancel(desk, run_id)

    assert (await desk.result(run_id, within_s=30)).state is RunState.CANCELLED
    await desk.settled()
    left = await desk.storage.list_keys(f"workspaces/{TEAM}/personas/U0ADA/runs/{run_id}/")
    assert left == []


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"lora_rank": "many"}, "lora_rank"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"precision": "fp8"}, "precision"),
        (["lora_rank"], "overrides"),
    ],
)
async def test_a_knob_with_an_impossible_value_is_refused_by_its_name(
    desk: Desk, knobs: Any, named: str
) -> None:
    await people(desk, "U0ADA")
    await desk.start()
    request_id = uuid4()
    body = {"request_id": str(request_id), "team_id": TEAM, "user_id": "U0ADA", "overrides": knobs}
    await jetstream_of(desk.client).publish("train.request", json.dumps(body).encode())

    result = await desk.result(run_id_of(request_id, "U0ADA"), within_s=30)

    assert result.error is not None
    assert (result.state, result.error.code) == (RunState.FAILED, "plan_invalid")
    assert named in result.error.message
    await desk.settled()
    parked = (await jetstream_of(desk.client).stream_info("DEAD")).state.messages
    assert parked == 0
