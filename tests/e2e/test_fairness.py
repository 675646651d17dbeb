"""One workspace floods; the answers of another one take at most twice their idle time."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest

from tests.support.bus import BusReader
from tests.support.stack import Stack
from tests.support.story import Workspace
from tests.support.waiting import eventually

pytestmark = [pytest.mark.story, pytest.mark.engine, pytest.mark.timeout(600)]

FLOOD = 60  # mentions at once; the gateway lets eight of them to the engine
OUTSTANDING = 8
ASKED = 20
ANSWER_S = 60
TIMES = 2  # promised
OTHER_TEAM = "T0QUIET"
SAMPLING = {"temperature": 0.7, "max_tokens": 60, "seed": 5}


async def ask(bus: BusReader) -> float:
    """One question of the quiet workspace; how long its answer took."""
    request_id = str(uuid4())
    turns = [{"role": "user", "content": "How do you like the new office?"}]
    body = {"request_id": request_id, "team_id": OTHER_TEAM, "turns": turns, "sampling": SAMPLING}
    results = await bus.client.subscribe("generate.result")
    began = time.monotonic()
    await bus.publish("generate.request", body)
    async with asyncio.timeout(ANSWER_S):
        result: dict[str, Any] = {}
        while result.get("request_id") != request_id:
            result = json.loads((await results.next_msg(timeout=ANSWER_S)).data)
    took_s = time.monotonic() - began
    await results.unsubscribe()
    assert "error" not in result
    return took_s


async def under_way(bus: BusReader) -> int:
    """Requests that wait at the engine or are being answered."""
    info = await bus.jetstream.consumer_info("GENERATE_REQUEST", "inference")
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


@contextlib.asynccontextmanager
async def flood(workspace: Workspace, bus: BusReader) -> AsyncGenerator[None]:
    """Mentions in many channels at once, for as long as the block runs."""

    async def mention(number: int) -> None:
        await workspace.say("dev", "general", f"@doppel tell me a long story about {number} broken builds")

    async def keep_asking() -> None:
        number = 0
        while True:
            if await under_way(bus) < OUTSTANDING:
                async with asyncio.TaskGroup() as mentions:
                    for _ in range(FLOOD // 4):
                        mentions.create_task(mention(number := number + 1))
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        for number in range(FLOOD):
            group.create_task(mention(-number))
        task = group.create_task(keep_asking())

        async def full() -> bool:
            return await under_way(bus) >= OUTSTANDING

        await eventually(full, what="the flood has reached the engine", within_s=60)
        yield
        task.cancel()


def p95(times: list[float]) -> float:
    """The time that one in twenty exceeds."""
    return sorted(times)[-1 - len(times) // 20]


async def test_one_floods_and_the_others_answers_take_at_most_twice_their_idle_time(
    stack: Stack, workspace: Workspace, bus: BusReader
) -> None:
    async def quiet() -> bool:
        return await bus.idle("GENERATE_REQUEST", "inference")

    await eventually(quiet, what="nothing is asked", within_s=120)
    await ask(bus)
    idle = [await ask(bus) for _ in range(ASKED)]
    flooded, most = [], 0
    async with flood(workspace, bus):
        for _ in range(ASKED):
            flooded.append(await ask(bus))
            most = max(most, await under_way(bus))
    assert 1 < most <= OUTSTANDING + 1
    assert p95(flooded) <= TIMES * p95(idle), f"idle {p95(idle):.2f} s, flooded {p95(flooded):.2f} s"
