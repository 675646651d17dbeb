"""Mentions while a server is killed: every one is answered, and once."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import nats.errors
import pytest

from tests.integration.gateway.rig import Rig
from tests.support.servers import killed_and_back
from tests.support.waiting import eventually

EACH = 4  # before, while and after
BACK_S = 90.0
ANSWERED_S = 180.0


async def answer_all(rig: Rig, count: int) -> None:
    """Play the engine until so many questions have an answer; the bus may be away meanwhile."""
    answered: set[UUID | None] = set()
    while len(answered) < count:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            question = await rig.engine.next_question(within_s=5)
            await rig.engine.answer(question, f"Answer to {question.turns[-1].content}")
            answered.add(question.request_id)


@pytest.mark.parametrize("server", ["postgres", "nats"])
async def test_a_server_killed_under_load_costs_no_answer(rig: Rig, server: str) -> None:
    asked: list[dict[str, Any]] = []

    async def ask() -> None:
        for _ in range(EACH):
            text = f"@doppel {server} gull {len(asked)}?"
            asked.append(await rig.workspace.say("bram", "general", text))

    async with asyncio.timeout(ANSWERED_S), asyncio.TaskGroup() as group:
        group.create_task(answer_all(rig, 3 * EACH))
        await ask()
        gone = group.create_task(killed_and_back(rig.servers.running.supervisor, server, within_s=BACK_S))
        await ask()
        await gone
        await ask()

    async def whole() -> bool:
        found = [await rig.replies("general", each["ts"]) for each in asked]
        return all(found)

    await eventually(whole, what="every mention has its answer", within_s=ANSWERED_S)
    await rig.settled(within_s=ANSWERED_S)
    for number, each in enumerate(asked):
        (reply,) = await rig.replies("general", each["ts"])
        assert f"{server} gull {number}?" in reply["text"]
