"""Everything is killed once while the story runs; one reply, one published run. Named to run last: it is rough."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.bus import BusReader
from tests.support.stack import Stack
from tests.support.story import Workspace
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.engine, pytest.mark.timeout(900)]

READY_S = 180
ANSWER_S = 240


async def ready(stack: Stack, workspace: Workspace, name: str) -> bool:
    """Does that child say that it is ready?"""
    url = stack.endpoints["metrics"][name].removesuffix("/metrics")
    try:
        async with workspace.http.get(f"{url}/health/ready") as response:
            return response.status == 200
    except OSError:
        return False


async def killed_and_back(stack: Stack, workspace: Workspace, name: str) -> None:
    """kill -9, then wait until the supervisor's new child is there."""
    old = stack.kill(name)

    async def back() -> bool:
        if stack.endpoints["pids"].get(name) in {None, old}:
            return False
        return name not in stack.endpoints["metrics"] or await ready(stack, workspace, name)

    await eventually(back, what=f"{name} is back", within_s=READY_S)


async def query(stack: Stack, sql: str, *args: Any) -> Any:
    connection = await asyncpg.connect(stack.endpoints["postgres_dsn"])
    try:
        return await connection.fetchval(sql, *args)
    finally:
        await connection.close()


async def settled(stack: Stack, workspace: Workspace, channel: str, ts: str) -> None:
    """One reply, also after every row is resolved."""
    await workspace.reply(channel, ts, within_s=ANSWER_S)

    async def quiet() -> bool:
        rows = await query(stack, "select count(*) from gateway.outbox where state in ('pending', 'sending')")
        return not rows

    await eventually(quiet, what="no row is pending or sending", within_s=ANSWER_S)
    await workspace.answered_once(channel, ts)


@pytest.mark.parametrize("victim", ["gateway-1", "inference-1", "nats", "postgres", "s3"])
async def test_a_kill_while_a_mention_is_under_way_costs_nothing(
    stack: Stack, workspace: Workspace, victim: str
) -> None:
    asked = await workspace.say("elena", "general", f"@doppel is {victim} well?")
    await killed_and_back(stack, workspace, victim)
    await settled(stack, workspace, "general", asked["ts"])


async def test_kills_during_the_making_of_a_persona_leave_one_published_run(
    stack: Stack, workspace: Workspace, bus: BusReader
) -> None:
    since = await bus.last_sequence("FACTS")
    await workspace.command("bram", "random", "train @chiyo")
    await workspace.answer_consent("chiyo", allow=True)
    await killed_and_back(stack, workspace, "scraper-1")
    await bus.fact("scrape.result", since, within_s=ANSWER_S, user_id="U0CHIYO")
    await bus.fact("train.progress", since, within_s=ANSWER_S, user_id="U0CHIYO", stage="training")
    for victim in ("trainer-1", "postgres", "nats", "s3"):
        await killed_and_back(stack, workspace, victim)
    result = await bus.fact("train.result", since, within_s=400, user_id="U0CHIYO")
    assert result["state"] == "published", result
    published = await query(
        stack, "select count(*) from trainer.runs where user_id = 'U0CHIYO' and state = 'published'"
    )
    assert published == 1
    assert len({body["run_id"] for body in await bus.facts("train.result", since, user_id="U0CHIYO")}) == 1


def frozen(pid: int, number: int) -> None:
    """Send a signal to a process and its children: a server that is there and does not answer."""
    children = [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if (folder / "stat").exists() and _parent(folder) == pid
    ]
    for each in (pid, *children):
        os.kill(each, number)


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


async def test_postgresql_away_for_two_minutes_parks_nothing(
    stack: Stack, workspace: Workspace, bus: BusReader
) -> None:
    dead = await bus.last_sequence("DEAD")
    postgres = stack.pid("postgres")
    frozen(postgres, signal.SIGSTOP)
    try:
        asked = [await workspace.say("dev", "support", f"@doppel question {n}") for n in range(3)]
        await asyncio.sleep(120)
    finally:
        frozen(postgres, signal.SIGCONT)
    for each in asked:
        await settled(stack, workspace, "support", each["ts"])
    assert await bus.last_sequence("DEAD") == dead


async def test_the_bus_away_means_503_within_two_seconds(stack: Stack, workspace: Workspace) -> None:
    nats = stack.pid("nats")
    os.kill(nats, signal.SIGSTOP)
    loop = asyncio.get_running_loop()
    try:
        began = loop.time()
        event = {
            "type": "app_mention",
            "channel": "C0GENERAL",
            "user": "U0DEV",
            "text": "hi",
            "ts": "1900000000.000100",
        }
        body = {
            "type": "event_callback",
            "team_id": "T0DOPPEL",
            "api_app_id": "A0DOPPEL",
            "event_id": "EvAWAY",
        }
        answer = await workspace.ask("POST", "raw", path="/slack/events", json={**body, "event": event})
        took_s = loop.time() - began
        command = await workspace.command("bram", "general", "help")
        pressed = await workspace.command("bram", "general", "train @dev")
    finally:
        os.kill(nats, signal.SIGCONT)
    assert answer["status"] == 503
    assert took_s < 2
    for said in (command, pressed):
        assert said["status"] == 200
        assert said["response"]


async def test_no_log_shows_what_people_wrote(stack: Stack) -> None:
    logs = stack.logs()
    secrets = [
        stack.endpoints["signing_secret"],
        "zyxwvut-canary-marmalade",
        "xoxb-",
        "how often will you say this",
    ]
    assert [secret for secret in secrets if secret in logs] == []
