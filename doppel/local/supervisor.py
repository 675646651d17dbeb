"""Starts children, brings the fallen back, stops them in order. Nothing outlives it."""

import asyncio
import contextlib
import logging
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from subprocess import SubprocessError
from typing import IO, Final, Self

from doppel.local import processes
from doppel.local.child import Child
from doppel.local.files import last_lines
from doppel.local.first import first_of
from doppel.local.home import Home
from doppel.local.restarts import Restarts

log = logging.getLogger(__name__)

UNSERVED_STOP_S: Final = 5.0
LOG_LIMIT_BYTES: Final = 20 * 1024 * 1024


class ChildFailed(Exception):
    """A child does not get up. `tail`: the last lines it wrote."""

    def __init__(self, name: str, what: str, tail: list[str]) -> None:
        super().__init__(f"{name} {what}")
        self.tail = tail


class State(StrEnum):
    """Where a child stands."""

    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"


@dataclass
class Running:
    """A child under supervision."""

    child: Child
    state: State = State.STARTING
    pid: int | None = None
    restarts: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stopping(self) -> bool:
        """Its next end is wanted."""
        return self.stop_asked.is_set()


class Supervisor:
    """An async context manager; leaving it kills what `stop` did not end."""

    def __init__(
        self,
        home: Home,
        *,
        on_change: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.home = home
        self.children: dict[str, Running] = {}
        self._on_change = on_change
        self._tell = tell
        self._failure: ChildFailed | None = None
        self._failed = asyncio.Event()
        self._kill_now = False
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Kill whatever is left, then end."""
        self.kill_all()
        await self._tasks.__aexit__(None, None, None)

    @property
    def pids(self) -> dict[str, int]:
        """Who runs right now."""
        return {name: one.pid for name, one in self.children.items() if one.pid is not None}

    async def start(self, *children: Child) -> None:
        """Start them together and wait until all serve. Raises ChildFailed."""
        self.launch(*children)
        await self.until_ready(child.name for child in children)

    def launch(self, *children: Child) -> None:
        """Start them without waiting."""
        for child in children:
            running = self.children[child.name] = Running(child)
            self._tasks.create_task(self._keep_up(running), name=f"keep {child.name}")

    async def until_ready(self, names: Iterable[str]) -> None:
        """Wait until they serve, each within its own `ready_s`. Raises ChildFailed."""
        for name in names:
            running = self.children[name]
            try:
                async with asyncio.timeout(running.child.ready_s):
                    await first_of(running.ready.wait(), self._failed.wait())
            except TimeoutError:
                what = f"was not ready within {running.child.ready_s:.0f} s"
                raise ChildFailed(name, what, last_lines(self.home.log_of(name))) from None
            if self._failure is not None:
                raise self._failure

    async def failed(self) -> ChildFailed:
        """Wait until a child has ended for good; returns its failure."""
        await self._failed.wait()
        assert self._failure is not None
        return self._failure

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these together: each gets its signal and its time, then SIGKILL with all it started."""
        stopping = [self.children[name] for name in names if name in self.children]
        for running in stopping:
            running.ready.clear()
            running.stop_asked.set()
        for running in stopping:
            await running.gone.wait()  # bounded: who does not end within stop_s is killed
            self.children.pop(running.child.name, None)
        self._on_change()

    def kill_all(self) -> None:
        """SIGKILL for everybody, now: the second Ctrl-C."""
        self._kill_now = True
        for running in self.children.values():
            running.stop_asked.set()
            if running.pid is not None:
                processes.kill_session(running.pid)

    async def _keep_up(self, running: Running) -> None:
        """Start the child again and again until it is stopped or gives up."""
        restarts = Restarts()
        try:
            while not running.stopping:
                try:
                    code = await self._run_once(running)
                except OSError as error:
                    if not running.restarts:
                        raise
                    code = error.errno or -1  # it has run before: the machine is short of something just now
                if running.stopping:
                    return
                delay_s = restarts.after_end(asyncio.get_running_loop().time())
                log.warning(
                    "child ended", extra={"child": running.child.name, "code": code, "again_in_s": delay_s}
                )
                if delay_s is None:
                    self._give_up(running, f"ended five times within a minute (last with code {code})")
                    return
                self._tell(f"{running.child.name} ended (code {code}) and is started again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await running.stop_asked.wait()
                running.restarts += 1
        except (OSError, ValueError) as error:  # it can't be started at all
            self._give_up(running, f"can't be started: {error}")
        finally:
            running.state = State.ENDED
            running.gone.set()

    async def _run_once(self, running: Running) -> int:
        """One life of the child; returns its exit code."""
        child = running.child
        with _open_log(self.home.log_of(child.name)) as file:
            running.state = State.STARTING
            process = await spawn(child, file)
        running.pid = process.pid
        processes.remember(self.home.run, child.name, process.pid)
        self._on_change()
        try:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(self._until_it_serves(running))
                stop = group.create_task(running.stop_asked.wait())
                end = group.create_task(process.wait())
                await asyncio.wait((stop, end), return_when=asyncio.FIRST_COMPLETED)
                if not end.done():
                    await self._end(running, process)
                asking.cancel()
                stop.cancel()
        finally:
            if processes.kill_session(process.pid, leader_gone=True):  # what it started goes with it
                await processes.until_gone(process.pid)
            running.pid, running.state = None, State.ENDED
            running.ready.clear()
            processes.forget(self.home.run, child.name)
            self._on_change()
        return process.returncode or 0

    async def _end(self, running: Running, process: Process) -> None:
        """Its signal, its time, then SIGKILL. Who has not served yet has nothing to drain."""
        child = running.child
        served = running.state is State.READY
        with contextlib.suppress(TimeoutError, ProcessLookupError):
            if not self._kill_now:
                process.send_signal(child.stop_signal)
                async with asyncio.timeout(child.stop_s if served else min(child.stop_s, UNSERVED_STOP_S)):
                    await process.wait()
        if process.returncode is None:
            log.warning("child killed", extra={"child": child.name})
            processes.kill_session(process.pid)

    async def _until_it_serves(self, running: Running) -> None:
        while not await running.child.ready():  # noqa: ASYNC110  another process sets no event of ours
            await asyncio.sleep(running.child.ask_every_s)
        if not running.stopping:
            running.state = State.READY
            running.ready.set()
            self._on_change()

    def _give_up(self, running: Running, what: str) -> None:
        name = running.child.name
        log.error("child given up", extra={"child": name, "what": what})
        self._failure = self._failure or ChildFailed(name, what, last_lines(self.home.log_of(name)))
        self._failed.set()


async def spawn(child: Child, output: IO[bytes]) -> Process:
    """Start it in a session of its own, so that Ctrl-C reaches only us and we order the stop.

    Raises OSError, also where root may not make the user namespace that PostgreSQL needs.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *child.argv,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            cwd=child.cwd,
            env=dict(child.env),
            start_new_session=True,
            preexec_fn=processes.before_exec(other_uid=child.other_uid),
        )
    except SubprocessError as error:  # of what runs between fork and exec
        raise OSError(
            "it refuses to run as root, and user namespaces are forbidden here; run as an ordinary user"
        ) from error


def _open_log(path: Path) -> IO[bytes]:
    """Append; what grew too large at an earlier start moves aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
