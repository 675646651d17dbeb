"""Processes that the inference bench starts and looks at."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench.api_world import end
from bench.base_model import ROOT

READY_S: Final = 300.0
HTTP_S: Final = 10.0


@dataclass(frozen=True)
class Replica:
    """A running process of the service."""

    pid: int
    url: str

    async def is_ready(self) -> bool:
        """Whether it serves."""
        try:
            status, _ = await self._get("health/ready")
        except aiohttp.ClientError:
            return False
        return status == 200

    async def metric(self, name: str) -> float:
        """One of its figures, all labels added up."""
        _, text = await self._get("metrics")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split()[0] == name)

    async def _get(self, path: str) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=HTTP_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{self.url}/{path}") as answer:
            return answer.status, await answer.text()

    def memory_mb(self) -> float:
        """Of all its processes together, what they share counted once."""
        return sum(map(pss_mb, family(self.pid)))


@contextlib.asynccontextmanager
async def running(
    arguments: list[str],
    environment: dict[str, str],
    log: Path,
    is_ready: Callable[[], Awaitable[bool]],
) -> AsyncGenerator[int]:
    """A module as a child process, once it is ready; ended with the block. Gives its id.

    Raises SystemExit with the log's end where it does not come up.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOPPEL_")}  # noqa: TID251  a child's
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, cwd=ROOT, env=inherited | environment, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + READY_S
        while not await is_ready():
            if process.returncode is not None or time.monotonic() > deadline:
                said = await asyncio.to_thread(log.read_text)
                raise SystemExit(f"{arguments[0]} is not ready:\n{said[-3000:]}")
            await asyncio.sleep(0.2)
        yield process.pid
    finally:
        await end(process)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def pss_mb(pid: int) -> float:
    """Proportional set size; 0 for a process that just ended."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
    return 0.0
