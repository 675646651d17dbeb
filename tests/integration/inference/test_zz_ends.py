"""How a replica ends: nothing stays behind, what it worked on comes back. Named to run last: the replica is gone."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from proto.artifacts import BaseModelManifest
from tests.integration.inference.conftest import Replica
from tests.integration.inference.test_completions import GREEDY, ask
from tests.support.bus import BusReader
from tests.support.waiting import eventually

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

LONG = GREEDY | {"max_tokens": 250}
ENGINE_DIED = 70


async def test_kill_9_with_32_in_flight_and_then_a_dead_engine_cost_no_answer(
    replica: Replica, bus: BusReader, team: str, tmp_path: Path
) -> None:
    requests = [ask(team, sampling=LONG) for _ in range(32)]
    tokens = await bus.client.subscribe("generate.token.*")
    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(bus.publish("generate.request", request))
    heard: set[str] = set()
    while len(heard) < len(requests):
        heard.add((await tokens.next_msg(timeout=60)).subject)
    await tokens.unsubscribe()

    os.kill(replica.pid, signal.SIGKILL)
    await replica.ended()
    await replica.gone(30)

    successor = Replica(replica.environment, tmp_path / "log")  # cold: the work waits for it
    await successor.start()
    try:
        for request in requests:
            await bus.fact("generate.result", within_s=240, request_id=request["request_id"])
        for request in requests:
            (result,) = await bus.facts("generate.result", request_id=request["request_id"])
            assert "error" not in result
        await _dies_and_hands_over(successor, bus, team, tmp_path)
    finally:
        await successor.stop()


async def _dies_and_hands_over(replica: Replica, bus: BusReader, team: str, tmp_path: Path) -> None:
    """The engine ends: exit code 70, nothing left, and the next replica answers."""
    request = ask(team, sampling=LONG)
    tokens = await bus.client.subscribe(f"generate.token.{request['request_id']}")
    await bus.publish("generate.request", request)
    await tokens.next_msg(timeout=60)

    os.kill(replica.engine_pids()[-1], signal.SIGKILL)

    assert await replica.ended() == ENGINE_DIED
    await replica.gone(10)
    successor = Replica(replica.environment, tmp_path / "second-log")
    await successor.start()
    try:
        result = await bus.fact("generate.result", within_s=240, request_id=request["request_id"])
        assert "error" not in result
        assert " ready_s=" in successor.log.read_text()
        await _drains(successor, bus, team)
    finally:
        await successor.stop()


async def _drains(replica: Replica, bus: BusReader, team: str) -> None:
    """SIGTERM: what runs is finished, nothing new is taken, exit code 0, no process left."""
    request = ask(team, sampling=LONG)
    tokens = await bus.client.subscribe(f"generate.token.{request['request_id']}")
    await bus.publish("generate.request", request)
    await tokens.next_msg(timeout=60)
    os.kill(replica.pid, signal.SIGTERM)
    assert await replica.ended() == 0
    result = await bus.fact("generate.result", within_s=5, request_id=request["request_id"])
    assert "error" not in result
    await replica.gone(10)


async def test_kill_9_while_starting_leaves_no_engine_behind(
    environment: dict[str, str], tiny_base: BaseModelManifest, tmp_path: Path
) -> None:
    replica = Replica(environment, tmp_path / "log")
    await replica.start()

    async def has_engine() -> bool:
        return bool(replica.engine_pids())

    await eventually(has_engine, what="an engine process", within_s=180)
    os.kill(replica.pid, signal.SIGKILL)
    await replica.ended()
    await replica.gone(30)
