"""Forgotten: who was trained and answered takes her yes back, and nothing is left of her anywhere. After the faults."""

import json
from typing import Any

import pytest

from tests.support.stack import Stack
from tests.support.story import Workspace
from tests.support.waiting import eventually

pytestmark = [pytest.mark.story, pytest.mark.engine, pytest.mark.timeout(900)]


async def verified(stack: Stack) -> tuple[int, dict[str, Any]]:
    """The exit code and the last line."""
    code, out = await stack.cli("purge", "@ada", "--team", "T0DOPPEL", "--verify", "--json")
    return code, json.loads(out.splitlines()[-1])


def left(told: dict[str, Any]) -> dict[str, int]:
    return {f"{e['store']} {e['place']}": e["found"] for e in told["looked"] if e["found"] and not e["kept"]}


async def test_her_yes_taken_back_leaves_nothing_of_her(stack: Stack, workspace: Workspace) -> None:
    code, before = await verified(stack)
    assert code == 1
    assert before["error"]["code"] == "left"
    found = left(before)
    for place in ("trainer.runs", "scraper.datasets", "gateway.active_adapters", "FACTS"):
        assert any(place in where for where in found), (place, found)
    assert any("personas/U0ADA" in where for where in found)

    await workspace.command("ada", "random", "consent no")
    told: dict[str, Any] = {}

    async def nothing() -> bool:
        nonlocal told
        code, told = await verified(stack)
        return code == 0

    try:
        await eventually(nothing, what="nothing is left", within_s=240)
    except AssertionError as error:
        raise AssertionError(f"{error}: {left(told)}") from error
    stores = {each["store"].split()[0] for each in told["looked"]}
    assert stores == {"PostgreSQL", "S3", "NATS", "inference", "trainer"}
    assert {each["place"] for each in told["looked"] if each["store"].startswith("inference")} >= {
        "disk",
        "engine",
    }

    asked = await workspace.say("dev", "general", "@doppel as <@U0ADA> are you still there?")
    answer = await workspace.reply("general", asked["ts"])
    assert not answer.get("username")
