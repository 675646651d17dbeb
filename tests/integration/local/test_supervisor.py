"""Children that fall, hang or leave others behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from doppel.local import processes
from doppel.local.child import Child
from doppel.local.home import Home
from doppel.local.settings import inherited
from doppel.local.supervisor import ChildFailed, Supervisor
from tests.support.waiting import eventually


def home_in(folder: Path) -> Home:
    home = Home(folder / ".doppel")
    home.make()
    return home


def says(path: Path) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return path.exists()

    return ready


def python(name: str, code: str, ready: Path, stop_s: float = 5) -> Child:
    script = f"import os, signal, subprocess, sys, time, pathlib\n{code}"
    return Child(
        name, (sys.executable, "-c", script), says(ready), env=inherited(), stop_s=stop_s, ready_s=10
    )


def serving(ready: Path) -> str:
    return f"pathlib.Path({str(ready)!r}).touch()\ntime.sleep(60)"


async def test_a_killed_child_comes_back_with_a_new_pid(tmp_path: Path) -> None:
    changes: list[int] = []
    home, ready = home_in(tmp_path), tmp_path / "ready"
    async with Supervisor(home, on_change=lambda: changes.append(1)) as supervisor:
        await supervisor.start(python("child", serving(ready), ready))
        old = supervisor.pids["child"]
        before = len(changes)
        os.kill(old, signal.SIGKILL)

        async def back() -> bool:
            return (
                supervisor.pids.get("child") not in (None, old)
                and supervisor.children["child"].ready.is_set()
            )

        await eventually(back, what="the child is back", within_s=10)
        assert len(changes) > before
        await supervisor.stop(["child"])
    assert list(home.run.iterdir()) == []


async def test_a_child_that_keeps_ending_ends_the_whole_with_its_last_lines(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    async with Supervisor(home) as supervisor:
        with pytest.raises(ChildFailed, match="five times") as error:
            await supervisor.start(python("child", "sys.exit('the reason')", tmp_path / "never"))
    assert "the reason" in error.value.tail


async def test_a_child_that_is_not_ready_in_time_is_said_to_be(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    never = Child(
        "child", (sys.executable, "-c", "import time; time.sleep(60)"), says(tmp_path / "x"), ready_s=0.5
    )
    async with Supervisor(home) as supervisor:
        with pytest.raises(ChildFailed, match="not ready"):
            await supervisor.start(never)
        pid = supervisor.pids["child"]
    assert processes.Identity.of(pid) is None


async def test_a_child_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    home, ready = home_in(tmp_path), tmp_path / "ready"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + serving(ready)
    async with Supervisor(home) as supervisor:
        await supervisor.start(python("child", deaf, ready, stop_s=0.3))
        pid = supervisor.pids["child"]
        async with asyncio.timeout(5):
            await supervisor.stop(["child"])
        assert processes.Identity.of(pid) is None


async def test_what_a_child_has_started_goes_with_it(tmp_path: Path) -> None:
    home, ready = home_in(tmp_path), tmp_path / "ready"
    parent = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n" + serving(ready)
    async with Supervisor(home) as supervisor:
        await supervisor.start(python("child", parent, ready))
        session = supervisor.pids["child"]
        assert len(list(processes.members(session))) == 2
        await supervisor.stop(["child"])
        assert list(processes.members(session)) == []


async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    ready, pid_file = tmp_path / "ready", tmp_path / "pid"
    inner = f"import time, pathlib; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    code = f"""
import asyncio, pathlib, sys
from doppel.local.child import Child
from doppel.local.home import Home
from doppel.local.supervisor import Supervisor

async def main():
    home = Home(pathlib.Path({str(tmp_path / ".doppel")!r})); home.make()
    async def is_ready(): return pathlib.Path({str(ready)!r}).exists()
    async with Supervisor(home) as supervisor:
        await supervisor.start(Child("child", (sys.executable, "-c", {inner!r}), is_ready))
        pathlib.Path({str(pid_file)!r}).write_text(str(supervisor.pids["child"]))
        await asyncio.sleep(60)
asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    async def started() -> bool:
        return pid_file.exists() and bool(pid_file.read_text())

    await eventually(started, what="the child runs", within_s=20)
    child = processes.Identity.of(int(pid_file.read_text()))
    assert child is not None
    supervisor.kill()
    await supervisor.wait()
    assert await child.ended(within_s=5)


async def test_a_child_that_has_not_served_yet_is_not_waited_for_long(tmp_path: Path) -> None:
    home, begun = home_in(tmp_path), tmp_path / "begun"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + serving(begun)
    child = python("child", deaf, tmp_path / "never", stop_s=60)
    async with Supervisor(home) as supervisor:
        supervisor.launch(child)

        async def runs() -> bool:
            return begun.exists()

        await eventually(runs, what="the child runs", within_s=10)
        async with asyncio.timeout(10):
            await supervisor.stop(["child"])


async def test_a_child_that_can_not_be_started_again_at_once_is_tried_again(tmp_path: Path) -> None:
    home, ready, program = home_in(tmp_path), tmp_path / "ready", tmp_path / "program"
    program.symlink_to(sys.executable)
    child = python("child", serving(ready), ready)
    child = replace(child, argv=(str(program), *child.argv[1:]))
    async with Supervisor(home) as supervisor:
        await supervisor.start(child)
        old = supervisor.pids["child"]
        program.unlink()
        os.kill(old, signal.SIGKILL)

        async def away() -> bool:
            return supervisor.children["child"].restarts > 1

        await eventually(away, what="a start that failed", within_s=10)
        program.symlink_to(sys.executable)

        async def back() -> bool:
            return (
                supervisor.pids.get("child") not in (None, old)
                and supervisor.children["child"].ready.is_set()
            )

        await eventually(back, what="the child is back", within_s=10)
