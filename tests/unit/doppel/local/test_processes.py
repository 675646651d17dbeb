"""Who a process is."""

import asyncio
import os
import sys
from pathlib import Path

from doppel.local import processes
from doppel.local.processes import Identity

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


def test_this_process_is_itself() -> None:
    identity = Identity.of(os.getpid())
    assert identity is not None
    assert identity.is_alive()


def test_the_same_number_with_another_start_is_a_stranger() -> None:
    identity = Identity.of(os.getpid())
    assert identity is not None
    assert not Identity(identity.pid, identity.started - 1, identity.boot_id).is_alive()
    assert not Identity(identity.pid, identity.started, "another boot").is_alive()


async def test_what_an_earlier_run_left_behind_is_ended(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(*SLEEPER, start_new_session=True)
    processes.remember(tmp_path, "nats", child.pid)
    assert await processes.end_leftovers(tmp_path) == ["nats"]
    async with asyncio.timeout(5):
        assert await child.wait() == -9
    assert list(tmp_path.iterdir()) == []


async def test_a_stranger_that_got_the_number_is_left_alone(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(*SLEEPER, start_new_session=True)
    identity = Identity.of(child.pid)
    assert identity is not None
    processes.remember(tmp_path, "nats", child.pid)
    record = (tmp_path / "nats.json").read_text().replace(str(identity.started), str(identity.started - 7))
    (tmp_path / "nats.json").write_text(record)
    try:
        assert await processes.end_leftovers(tmp_path) == []
        assert identity.is_alive()
    finally:
        child.kill()
        await child.wait()
