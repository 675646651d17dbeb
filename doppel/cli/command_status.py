"""``doppel status · doctor``: what runs, who is trained, how much waits."""

import asyncio
from datetime import datetime
from typing import Any, Final

import asyncpg
import click
import nats.errors
import nats.js.errors
from rich.table import Table

from doppel.basemodel.source import model_name
from doppel.cli import options
from doppel.cli.facts import open_bus
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.local.checks import MachineTooSmall, check_machine
from doppel.local.child import answers
from doppel.local.postgres import binaries
from doppel.local.programs import program
from doppel.local.settings import LocalSettings
from doppel.storage import Storage
from proto.subjects import CONSUMERS, STREAMS

QUERY_S: Final = 5.0
_PERSONAS: Final = """
    select coalesce(p.team_id, c.team_id) as team_id, coalesce(p.user_id, c.user_id) as user_id, p.name,
           c.granted as consent, a.run_id as active_run
    from gateway.personas p
    full join gateway.consents_now c using (team_id, user_id)
    left join gateway.active_adapters a on (a.team_id, a.user_id) = (coalesce(p.team_id, c.team_id),
                                                                    coalesce(p.user_id, c.user_id))
    order by 1, 2"""
_RUNS: Final = """
    select run_id, team_id, user_id, state, fence, base_test_loss, test_loss, train_s, requested_at, ended_at
    from trainer.runs order by requested_at desc limit 20"""
_CORPORA: Final = """
    select corpus_id, team_id, source, message_count, channel_count, created_at
    from scraper.corpora order by created_at desc limit 10"""


@click.command()
@options.json_line
def status(*, as_json: bool) -> None:
    """Personas, runs, what waits on each stream, replicas."""

    async def work(terminal: Terminal) -> None:
        target = Target.find()
        streams = await stream_states(target)
        tables = await _tables(target)
        replicas = await _replicas(target)
        for title, rows in (*tables.items(), ("streams", streams), ("replicas", replicas)):
            terminal.show(_table(title, rows))
        terminal.done(**tables, streams=streams, replicas=replicas)

    run(work, as_json=as_json)


async def stream_states(target: Target) -> list[dict[str, Any]]:
    """Per durable: what waits, what is under way; per stream without one: what it holds."""
    found: list[dict[str, Any]] = []
    async with open_bus(target.bus) as bus:
        for stream in STREAMS:
            held = (await bus.jetstream.stream_info(stream.name)).state.messages
            durables = [consumer for consumer in CONSUMERS if consumer.stream == stream.name]
            for consumer in durables:
                info = await bus.jetstream.consumer_info(stream.name, consumer.durable)
                waiting, under_way = info.num_pending or 0, info.num_ack_pending or 0
                found.append(
                    {
                        "stream": stream.name,
                        "durable": consumer.durable,
                        "messages": held,
                        "waiting": waiting,
                        "under_way": under_way,
                        "lag": waiting + under_way,
                        "redelivered": info.num_redelivered or 0,
                    }
                )
            if not durables:
                found.append({"stream": stream.name, "messages": held})
    return found


async def _tables(target: Target) -> dict[str, list[dict[str, Any]]]:
    async with target.reading() as connection:
        return {
            "personas": [dict(row) for row in await connection.fetch(_PERSONAS)],
            "runs": [dict(row) for row in await connection.fetch(_RUNS)],
            "corpora": [dict(row) for row in await connection.fetch(_CORPORA)],
        }


async def _replicas(target: Target) -> list[dict[str, Any]]:
    """Those of the local stack; elsewhere the orchestrator knows."""
    if target.local is None:
        return []
    found: list[dict[str, Any]] = []
    for name, url in target.local.metrics.items():
        ready = await answers(url.removesuffix("/metrics") + "/health/ready")
        found.append({"replica": name, "pid": target.local.pids.get(name), "ready": ready})
    return found


def _table(title: str, rows: list[dict[str, Any]]) -> Any:
    if not rows:
        return f"{title}: none"
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@click.command()
@options.json_line
def doctor(*, as_json: bool) -> None:
    """Check the machine, the installation and, where one runs, the stack."""

    async def work(terminal: Terminal) -> None:
        settings = LocalSettings.read()
        found = {"machine": _machine(settings), "programs": _programs()}
        target = Target.find()
        if target.local is not None:
            async with asyncio.timeout(30):
                found |= await _reach(target, target.local.base_model)
        for name, problem in found.items():
            terminal.say(
                f"{'✓' if problem is None else '✕'} {name}{'' if problem is None else ': ' + problem}"
            )
        wrong = {name: problem for name, problem in found.items() if problem}
        if wrong:
            raise Failure(f"{len(wrong)} of {len(found)} checks failed.", checks=found)
        terminal.done(checks=found)

    run(work, as_json=as_json)


def _machine(settings: LocalSettings) -> str | None:
    try:
        check_machine(settings)
    except MachineTooSmall as error:
        return str(error)
    return None


def _programs() -> str | None:
    try:
        program("nats-server")
        program("weed")
        binaries()
    except FileNotFoundError as error:
        return str(error)
    return None


async def _reach(target: Target, base_model: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    try:
        await stream_states(target)
        found["bus"] = None
    except (Failure, nats.errors.Error, nats.js.errors.Error) as error:
        found["bus"] = str(error)
    try:
        await _tables(target)
        found["database"] = None
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        found["database"] = str(error) or type(error).__name__
    storage = Storage(target.storage)
    try:
        there = await storage.exists(f"models/{model_name(base_model)}/manifest.json")
        found["base model"] = None if there else "not in the bucket; run `doppel setup`"
    except (OSError, TimeoutError) as error:
        found["base model"] = str(error) or type(error).__name__
    finally:
        storage.close()
    return found | {
        str(row["replica"]): None if row["ready"] else "not ready" for row in await _replicas(target)
    }


COMMANDS: Final[tuple[click.Command, ...]] = (status, doctor)
