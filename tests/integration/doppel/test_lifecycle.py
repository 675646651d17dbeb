"""A service process from the outside: health, readiness, SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp

from tests.support.servers import TestServers
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import asyncio, sys
from doppel.bus import connect
from doppel.lifecycle import Lifecycle, run
from doppel.settings import SharedSettings

async def main(life: Lifecycle) -> None:
    async with connect(life, life.settings, durables_of="trainer") as connection:
        life.add_check("bus", connection.check)
        await connection.broker.start()
        life.ready()
        await life.stopping()

sys.exit(run("trainer", SharedSettings.read, main))
"""


async def start(environment: dict[str, str], port: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment, "DOPPEL_HEALTH_PORT": str(port)},
        stderr=asyncio.subprocess.PIPE,
    )


async def asked(port: int, path: str) -> int:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status
    except OSError:
        return 0


async def until(port: int, path: str, status: int) -> None:
    async def is_so() -> bool:
        return await asked(port, path) == status

    await eventually(is_so, what=f"{path} answers {status}", within_s=20)


async def ended(child: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(20):
        _, err = await child.communicate()
    return child.returncode, err.decode()


async def test_ready_serves_and_sigterm_exits_0(servers: TestServers, free_port: int) -> None:
    child = await start(servers.environment("trainer"), free_port)
    await until(free_port, "/health/ready", 200)
    assert await asked(free_port, "/health/live") == 200
    assert await asked(free_port, "/metrics") == 200
    child.send_signal(signal.SIGTERM)
    code, log = await ended(child)
    assert code == 0, log


async def test_without_a_bus_it_waits_and_says_so(servers: TestServers, free_port: int) -> None:
    environment = {**servers.environment("trainer"), "DOPPEL_NATS_URL": "nats://127.0.0.1:9"}
    child = await start(environment, free_port)
    await until(free_port, "/health/ready", 503)
    assert await asked(free_port, "/health/live") == 200
    child.send_signal(signal.SIGTERM)
    code, log = await ended(child)
    assert code == 0, log
    assert "waiting for the bus" in log


async def test_a_wrong_setting_ends_it_with_its_name(servers: TestServers, free_port: int) -> None:
    child = await start({**servers.environment("trainer"), "DOPPEL_MAX_LORA_RANK": "many"}, free_port)
    code, log = await ended(child)
    assert code == 2
    assert "DOPPEL_MAX_LORA_RANK" in log
    assert "Traceback" not in log
