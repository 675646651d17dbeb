"""``doppel up · down``: the stack on this machine, without the story."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, Final

import click

from doppel.basemodel.errors import BaseModelUnusable
from doppel.cli import options
from doppel.cli.terminal import Failure, Interrupted, Terminal, run
from doppel.local import endpoints, processes
from doppel.local.checks import MachineTooSmall
from doppel.local.files import last_lines
from doppel.local.first import first_of
from doppel.local.home import SERVICES, Home, StackAlreadyRuns
from doppel.local.settings import LocalSettings, inherited
from doppel.local.stack import SUPERVISOR, Report, Stack, open_stack
from doppel.local.supervisor import ChildFailed

DOWN_S: Final = 90.0
DETACHED_S: Final = 900.0


def parse_scale(values: tuple[str, ...]) -> dict[str, int]:
    """``("inference=2",)`` → ``{"inference": 2}``. Raises a usage error."""
    scale: dict[str, int] = {}
    for value in values:
        name, _, count = value.partition("=")
        if name not in SERVICES or not count.isdecimal() or not 1 <= int(count) <= 16:
            raise click.BadParameter(
                f"{value}: write SERVICE=N with N from 1 to 16 and one of {', '.join(SERVICES)}"
            )
        scale[name] = int(count)
    return scale


@contextlib.asynccontextmanager
async def opened_stack(
    terminal: Terminal, scale: dict[str, int], report: Report
) -> AsyncGenerator[tuple[Stack, asyncio.Event]]:
    """A stack, still down, and the event that says: stop. Everything ends with the block.

    SIGTERM, Ctrl-C and a closed terminal set the event; a second one kills. A child that does not get up becomes a
    Failure, after the last lines of its log.
    """
    stop = asyncio.Event()
    try:
        async with open_stack(LocalSettings.read(), scale, report=report) as stack:
            _listen(stop, stack)
            try:
                yield stack, stop
            finally:
                await stack.down(report)
    except ChildFailed as error:
        for line in error.tail:
            terminal.people.print(f"  {line}", markup=False, style="dim")
        raise Failure(
            f"{error}. Its log is in {LocalSettings.read().home}/log.", code="child_failed"
        ) from error
    except (MachineTooSmall, StackAlreadyRuns, BaseModelUnusable, FileNotFoundError) as error:
        raise Failure(str(error), code="cannot_start") from error


def _listen(stop: asyncio.Event, stack: Stack) -> None:
    def on_signal() -> None:
        if stop.is_set():
            stack.supervisor.kill_all()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


async def bring_up(stack: Stack, stop: asyncio.Event, report: Report, *, not_yet: str | None = None) -> None:
    """Start everything and wait until it serves, but for the service `not_yet`."""
    await unless_it_ends(stack, stop, stack.up(LocalSettings.read(), report, not_yet=not_yet))


async def unless_it_ends(stack: Stack, stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do some work. Raises Interrupted when told to stop, ChildFailed where a child gave up."""
    ended = await first_of(work, stop.wait(), stack.supervisor.failed())
    if ended == 1:
        raise Interrupted
    if ended == 2:
        raise await stack.supervisor.failed()


async def until_it_ends(stack: Stack, stop: asyncio.Event) -> None:
    """Wait for Ctrl-C. Raises ChildFailed where a child gave up."""
    if await first_of(stop.wait(), stack.supervisor.failed()) == 1:
        raise await stack.supervisor.failed()


@click.command()
@click.option("--detach", is_flag=True, help="Leave it running in the background; `doppel down` ends it.")
@click.option("--scale", "scales", multiple=True, metavar="SERVICE=N", help="So many replicas of a service.")
@options.json_line
def up(scales: tuple[str, ...], *, detach: bool, as_json: bool) -> None:
    """Start servers, services and the playground on this machine."""
    scale = parse_scale(scales)
    if detach:
        run(lambda terminal: _detached(terminal, scales), as_json=as_json)
        return

    async def work(terminal: Terminal) -> None:
        async with opened_stack(terminal, scale, terminal.aside) as (stack, stop):
            await bring_up(stack, stop, terminal.aside)
            _tell(terminal, stack.endpoints)
            terminal.done(**_addresses(stack.endpoints))
            await until_it_ends(stack, stop)

    run(work, as_json=as_json)


def _tell(terminal: Terminal, found: endpoints.Endpoints) -> None:
    for name, url in (
        ("gateway", found.gateway_url),
        ("playground", found.playground_url),
        ("bus", found.nats_url),
    ):
        if url is not None:
            terminal.say(f"{name:>11}  {url.rpartition('@')[2]}")
    terminal.say(
        f"Everything is in {Home(LocalSettings.read().home).endpoints}. `doppel down` or Ctrl-C ends it."
    )


def _addresses(found: endpoints.Endpoints) -> dict[str, object]:
    return {"gateway_url": found.gateway_url, "playground_url": found.playground_url, "pids": found.pids}


async def _detached(terminal: Terminal, scales: tuple[str, ...]) -> None:
    """Start `doppel up` in a session of its own and wait until it serves."""
    home = Home(LocalSettings.read().home.absolute())
    home.make()
    if supervisor_of(home) is not None:
        raise Failure(
            f"A stack already runs in {home.path}. Stop it with `doppel down` first.", code="cannot_start"
        )
    home.endpoints.unlink(missing_ok=True)  # of a stack that was killed
    log = home.log_of("up")
    argv = [sys.executable, "-m", "doppel", "up", *(part for scale in scales for part in ("--scale", scale))]
    with log.open("wb") as file:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, env=inherited()
        )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DETACHED_S):
            await first_of(child.wait(), _until_ready(home))
    found = endpoints.read(home.endpoints)
    if child.returncode is not None or found is None or not found.ready:
        for line in last_lines(log):
            terminal.people.print(f"  {line}", markup=False, style="dim")
        raise Failure(f"The stack did not come up; see {log}.", code="cannot_start")
    _tell(terminal, found)
    terminal.done(**_addresses(found))


def supervisor_of(home: Home) -> processes.Identity | None:
    """The process that holds the stack of this folder up; None where there is none."""
    found = processes.recall(home.run / f"{SUPERVISOR}.json")
    return found if found is not None and found.is_alive() else None


async def _until_ready(home: Home) -> None:
    while not ((found := endpoints.read(home.endpoints)) and found.ready):  # noqa: ASYNC110  another process
        await asyncio.sleep(0.2)


@click.command()
@options.json_line
def down(*, as_json: bool) -> None:
    """Drain and stop the stack that runs here, and whatever a killed one left behind."""

    async def work(terminal: Terminal) -> None:
        home = Home(LocalSettings.read().home.absolute())
        supervisor = supervisor_of(home)
        if supervisor is not None:
            os.kill(supervisor.pid, signal.SIGTERM)
            if not await supervisor.ended(within_s=DOWN_S):
                raise Failure(f"It did not end within {DOWN_S:.0f} s; see {home.log}.", code="timeout")
            terminal.say("Stopped.")
            return terminal.done(was_running=True)
        left = await processes.end_leftovers(home.run)
        home.endpoints.unlink(missing_ok=True)
        terminal.say(f"Nothing ran here{'; ended ' + ', '.join(left) if left else ''}.")
        return terminal.done(was_running=False, ended=left)

    run(work, as_json=as_json)


COMMANDS: Final[tuple[click.Command, ...]] = (up, down)
