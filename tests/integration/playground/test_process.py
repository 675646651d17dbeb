"""``python -m playground``: starts, tells that it is ready, leaves on SIGTERM with a page still watching."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import aiohttp

from tests.integration.playground.playbox import Control

ROOT = Path(__file__).parents[3]


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_it_starts_shows_the_same_history_and_drains(http: aiohttp.ClientSession) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DOPPEL_PLAYGROUND_PORT": str(port), "DOPPEL_PLAYGROUND_MESSAGE_COUNT": "200"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "playground",
        cwd=ROOT,
        env=settings,
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    async with asyncio.timeout(30):
        while not await _answers(http, f"{url}/health/ready"):
            assert process.returncode is None
            await asyncio.sleep(0.05)
    newest = (await Control(url, http).messages("eng", limit="1"))["messages"][0]
    assert newest["ts"] < "1780000000"
    async with http.get(f"{url}/playground/stream") as stream:
        await stream.content.readuntil(b"\n\n")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"xoxb-" not in errors
    assert b"Traceback" not in errors
