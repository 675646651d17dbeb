"""A person is forgotten: a replica lets go of their adapters, told or not, and says what it holds."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.inference.conftest import Replica
from tests.integration.inference.making import Publisher
from tests.support.bus import BusReader
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


async def held(bus: BusReader, team: str, user_id: str) -> dict[str, int]:
    """What the one replica answers who looks."""
    look_id = str(uuid4())
    subscription = await bus.client.subscribe(f"persona.held.{look_id}")
    look = {"request_id": look_id, "team_id": team, "user_id": user_id}
    await bus.client.publish("persona.look", json.dumps(look).encode())
    answer = json.loads((await subscription.next_msg(timeout=20)).data)
    await subscription.unsubscribe()
    return answer["held"]


async def answered(bus: BusReader, team: str, user_id: str, **more: Any) -> dict[str, Any]:
    request_id = str(uuid4())
    turns = [{"role": "user", "content": "How are you?"}]
    asked = {"request_id": request_id, "team_id": team, "user_id": user_id, "turns": turns} | more
    await bus.publish("generate.request", asked)
    return await bus.fact("generate.result", within_s=90, request_id=request_id)


async def test_a_purge_empties_disk_and_engine_and_stops_answers_under_way(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    ref = await publisher.publish(team, "UADA", seed=1)
    await publisher.publish(team, "UBOB", seed=2)
    assert "error" not in await answered(bus, team, "UADA")
    assert "error" not in await answered(bus, team, "UBOB")
    before = await held(bus, team, "UADA")
    assert (before["disk"], before["engine"]) == (1, 1)

    long = {"sampling": {"max_tokens": 480}, "request_id": str(uuid4())}
    turns = [{"role": "user", "content": "Tell me everything."}]
    await bus.publish("generate.request", {"team_id": team, "user_id": "UADA", "turns": turns} | long)
    await bus.fact("generate.progress", request_id=long["request_id"], stage="generating")
    await publisher.forget(team, "UADA")
    purge = {
        "request_id": str(uuid4()), "team_id": team, "user_id": "UADA", "requested_at": "2026-01-01T00:00:00Z"
    }  # fmt: skip
    await bus.publish("persona.purge", purge)
    told = await bus.fact("persona.purged", request_id=purge["request_id"], service="inference")
    assert told["removed"]["adapters"] == 1

    async def nothing() -> bool:
        return not any((await held(bus, team, "UADA")).values())

    await eventually(nothing, what="nothing of hers is held", within_s=60)
    assert str(ref.run_id) not in replica.adapters_on_disk()
    assert (await held(bus, team, "UBOB"))["disk"] == 1
    result = await answered(bus, team, "UADA", adapter=ref.model_dump(mode="json"))
    assert result["error"]["code"] == "adapter_missing"


async def test_a_replica_that_was_not_told_notices_by_itself(
    replica: Replica, bus: BusReader, publisher: Publisher, team: str
) -> None:
    await publisher.publish(team, "UADA", seed=1)
    await answered(bus, team, "UADA")
    await publisher.forget(team, "UADA")

    async def nothing() -> bool:
        return not any((await held(bus, team, "UADA")).values())

    await eventually(nothing, what="the version that is no more has left", within_s=60)
