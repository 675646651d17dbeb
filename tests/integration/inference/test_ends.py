"""How a replica ends: nothing stays behind, and what it worked on comes back."""

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


async def test_a_dead_engine_ends_the_replica_and_the_next_one_answers(
    replica: Replica, bus: BusReader, team: str, tmp_path: Path
) -> None:
    request = ask(team, sampling=LONG)
    tokens = await bus.client.subscribe(f"generate.token.{request['request_id']}")
    await bus.publish("generate.request", request)
    await tokens.next_msg(timeout=60)

    os.kill(replica.engine_pids()[-1], signal.SIGKILL)

    assert await replica.ended() == ENGINE_DIED
    await replica.gone(10)
    successor = Replica(replica.environment, tmp_path / "log")
    await successor.start()
    try:
        result = await bus.fact("generate.result", within_s=240, request_id=request["request_id"])
        assert "error" not in result
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
    await asyncio.sleep(0)
