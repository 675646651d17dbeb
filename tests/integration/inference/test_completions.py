"""One replica, one engine, the tiny model: what comes in on ``generate.request`` and what goes out."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from safetensors.numpy import save

from tests.integration.inference.conftest import Replica
from tests.integration.inference.making import Publisher, lora_config, lora_weights
from tests.support.bus import BusReader
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

GREEDY = {"temperature": 0, "repetition_penalty": 1, "max_tokens": 12}
DOWNLOADS = "doppel_adapter_downloads_total"
CANARY = "canary-7c2f lives here"


def ask(team: str, text: str = "How are you?", **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": text}]
    return {"request_id": str(uuid4()), "team_id": team, "turns": turns, "sampling": GREEDY} | fields


async def answer(bus: BusReader, request: dict[str, Any], within_s: float = 60) -> dict[str, Any]:
    await bus.publish("generate.request", request)
    return await bus.fact("generate.result", within_s=within_s, request_id=request["request_id"])


async def test_the_plain_base_model_answers(replica: Replica, bus: BusReader, team: str) -> None:
    result = await answer(bus, ask(team))
    assert "error" not in result
    assert result["completion_tokens"] == 12
    assert result["finish_reason"] == "length"
    assert "run_id" not in result


async def test_a_hand_published_request_needs_a_team_and_turns_only(
    replica: Replica, bus: BusReader, team: str
) -> None:
    await bus.publish("generate.request", {"team_id": team, "turns": [{"role": "user", "content": "hi"}]})
    result = await bus.fact("generate.result", within_s=60, team_id=team)
    assert result["request_id"]


async def test_base_and_adapters_in_one_batch_answer_as_each_does_alone(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    await publisher.publish(team, "UADA", seed=1)
    await publisher.publish(team, "UBOB", seed=2)

    async def text(user_id: str | None) -> str:
        fields = {"user_id": user_id} if user_id else {}
        return (await answer(bus, ask(team, **fields)))["text"]

    askers = [None, "UADA", "UBOB"]
    alone = [await text(user_id) for user_id in askers]
    async with asyncio.TaskGroup() as group:
        mixed = [group.create_task(text(user_id)) for user_id in [*askers, *reversed(askers)]]
    assert [task.result() for task in mixed] == [*alone, *reversed(alone)]
    assert len(set(alone)) == 3


async def test_a_seed_draws_the_same_answer_alone_and_among_others(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    await publisher.publish(team, "UADA", seed=1)

    async def drawn(seed: int) -> str:
        return (await answer(bus, ask(team, user_id="UADA", sampling={"max_tokens": 12, "seed": seed})))[
            "text"
        ]

    alone = await drawn(3)
    async with asyncio.TaskGroup() as group:
        greedy = [group.create_task(answer(bus, ask(team))) for _ in range(3)]
        among = [group.create_task(drawn(seed)) for seed in (3, 4, 3)]
    same, other, again = (task.result() for task in among)
    assert same == again == alone != other
    assert all("error" not in task.result() for task in greedy)


async def test_a_new_version_answers_with_its_own_weights(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    texts = []
    for seed in (11, 12, 11):
        ref = await publisher.publish(team, "UADA", seed=seed)
        result = await answer(bus, ask(team, user_id="UADA"))
        assert result["run_id"] == str(ref.run_id)
        texts.append(result["text"])
    assert texts[0] == texts[2] != texts[1]


async def test_more_adapters_than_slots_and_memory_still_all_answer(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    users = [f"U{number}" for number in range(6)]
    for number, user_id in enumerate(users):
        await publisher.publish(team, user_id, seed=100 + number)
    texts: list[list[str]] = []
    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(bus, ask(team, user_id=user_id))) for user_id in users]
        texts.append([task.result()["text"] for task in tasks])
    assert len(set(texts[0])) == 6
    assert texts[0] == texts[1]


def _with(change: Any) -> bytes:
    tensors = lora_weights(3)
    change(tensors)
    return save(tensors)


def _poison(tensors: dict[str, np.ndarray]) -> None:
    next(iter(tensors.values()))[0, 0] = np.nan


def _widen(tensors: dict[str, np.ndarray]) -> None:
    name = next(name for name in tensors if "q_proj.lora_A" in name)
    tensors[name] = np.zeros((8, 576), np.float32)


def _lying() -> bytes:
    """A header that promises two gigabytes."""
    name = next(name for name in lora_weights(3) if "q_proj.lora_A" in name)
    header = {name: {"dtype": "F32", "shape": [8, 2**26], "data_offsets": [0, 2**31]}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


BAD: dict[str, dict[str, Any]] = {
    "two gigabytes": {"said_bytes": 2 * 1024**3},
    "larger than said": {"said_bytes": 1000},
    "a lying header": {"weights": _lying()},
    "truncated": {"weights": save(lora_weights(3))[:-100]},
    "empty": {"weights": b""},
    "nan": {"weights": _with(_poison)},
    "another base": {"weights": _with(_widen)},
    "a rank too high": {"weights": save(lora_weights(3, 64)), "config": lora_config(64)},
    "no config": {"config": b"not json"},
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_corrupt_adapter_fails_its_own_request_only(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str, kind: str
) -> None:
    await publisher.publish(team, "UBAD", **BAD[kind])
    await publisher.publish(team, "UADA", seed=1)
    before = await answer(bus, ask(team, user_id="UADA"))
    async with asyncio.TaskGroup() as group:
        good = group.create_task(answer(bus, ask(team, user_id="UADA")))
        bad = group.create_task(answer(bus, ask(team, user_id="UBAD")))
    assert bad.result()["error"]["code"] == "adapter_corrupt"
    assert good.result()["text"] == before["text"]
    assert await replica.is_ready()


async def test_bytes_that_do_not_match_the_manifest_are_corrupt(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    ref = await publisher.publish(team, "UADA")
    await publisher.storage.put_bytes(f"{ref.prefix}/adapter_model.safetensors", save(lora_weights(9)))
    assert (await answer(bus, ask(team, user_id="UADA")))["error"]["code"] == "adapter_corrupt"


async def test_an_adapter_of_another_base_model_asks_for_a_new_training(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    await publisher.publish(team, "UADA", base_sha256="0" * 64)
    assert (await answer(bus, ask(team, user_id="UADA")))["error"]["code"] == "retrain_needed"


async def test_a_persona_without_adapter_is_told_to_train(
    replica: Replica, bus: BusReader, team: str
) -> None:
    error = (await answer(bus, ask(team, user_id="UNEW")))["error"]
    assert error["code"] == "adapter_missing"
    assert error["message"] == "<@UNEW> is not trained yet. Run /doppel train <@UNEW> first."


async def test_an_adapter_whose_objects_are_gone_is_missing(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    ref = await publisher.publish(team, "UADA")
    await publisher.storage.delete(await publisher.storage.list_keys(ref.prefix))
    assert (await answer(bus, ask(team, user_id="UADA")))["error"]["code"] == "adapter_missing"


async def test_nobody_answers_with_another_persons_adapter(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    stolen = await publisher.publish(team, "UADA")
    request = ask(team, user_id="UBOB", adapter=stolen.model_dump(mode="json"))
    assert (await answer(bus, request))["error"]["code"] == "adapter_missing"


async def test_what_nobody_waits_for_is_not_generated(replica: Replica, bus: BusReader, team: str) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert (await answer(bus, ask(team, deadline_at=past)))["error"]["code"] == "deadline_passed"


async def test_a_deadline_ends_a_running_generation(replica: Replica, bus: BusReader, team: str) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
    sampling = GREEDY | {"max_tokens": 250}
    result = await answer(bus, ask(team, deadline_at=soon, sampling=sampling))
    assert result["error"]["code"] == "deadline_passed"


async def test_a_cancel_stops_a_running_generation(replica: Replica, bus: BusReader, team: str) -> None:
    request = ask(team, sampling=GREEDY | {"max_tokens": 250})
    started = await bus.client.subscribe(f"generate.token.{request['request_id']}")
    await bus.publish("generate.request", request)
    await started.next_msg(timeout=60)
    await bus.client.publish(f"generate.cancel.{request['request_id']}", b"{}")
    result = await bus.fact("generate.result", within_s=30, request_id=request["request_id"])
    assert result["error"]["code"] == "cancelled"


async def test_a_long_conversation_loses_its_oldest_messages(
    replica: Replica, bus: BusReader, team: str
) -> None:
    turns = [{"role": "user", "content": f"message {number} " * 20} for number in range(60)]
    result = await answer(bus, ask(team, turns=turns))
    assert result["text"]
    assert 400 < result["prompt_tokens"] <= 500


async def test_one_message_too_long_for_the_window_is_refused(
    replica: Replica, bus: BusReader, team: str
) -> None:
    result = await answer(bus, ask(team, "word " * 5000))
    assert result["error"]["code"] == "request_invalid"


async def test_tokens_come_in_order_and_make_up_the_text(replica: Replica, bus: BusReader, team: str) -> None:
    request = ask(team)
    tokens = await bus.client.subscribe(f"generate.token.{request['request_id']}")
    result = await answer(bus, request)
    deltas = []
    while not deltas or not deltas[-1]["done"]:
        deltas.append(json.loads((await tokens.next_msg(timeout=10)).data) | {})
        deltas[-1].setdefault("done", False)
    assert [delta["seq"] for delta in deltas] == list(range(len(deltas)))
    assert "".join(delta["text"] for delta in deltas).strip() == result["text"]


async def test_a_published_adapter_is_fetched_before_anybody_asks(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    ref = await publisher.publish(team, "UADA")
    before = await replica.metric(DOWNLOADS)
    fact = {"request_id": str(uuid4()), "run_id": str(ref.run_id), "team_id": team, "user_id": "UADA"}
    fact |= {"state": "published", "adapter": ref.model_dump(mode="json")}
    await bus.publish("train.result", fact)

    async def fetched() -> bool:
        return await replica.metric(DOWNLOADS) > before

    await eventually(fetched, what="the adapter on disk", within_s=20)
    request = ask(team, user_id="UADA")
    await answer(bus, request)
    stages = [
        fact["stage"] for fact in await bus.facts("generate.progress", request_id=request["request_id"])
    ]
    assert stages == ["generating"]


async def test_no_text_is_in_the_log_at_any_level(replica: Replica, bus: BusReader, team: str) -> None:
    await answer(bus, ask(team, CANARY))
    await answer(bus, ask(team, CANARY, user_id="UNEW"))
    assert CANARY not in replica.log.read_text()
