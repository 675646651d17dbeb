"""@slack/web-api, @slack/socket-mode and @slack/bolt, unchanged, against the playground; the tests are theirs."""

import asyncio

import pytest

from playground.app import Running
from tests.integration.foreign.conftest import JAVASCRIPT, environment

RUN_S = 180


@pytest.mark.parametrize("name", ["web_api", "socket_mode", "bolt"])
async def test_slacks_client_takes_the_playground_for_slack(running: Running, node: str, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        node, "--test", f"{name}.test.mjs", cwd=JAVASCRIPT, env=environment(running),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(RUN_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode(errors="replace")[-12_000:]
