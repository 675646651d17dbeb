"""A playground for clients that nobody here wrote, and what those in JavaScript need."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from playground.app import Running, start
from playground.settings import Settings
from tests.integration.playground.playbox import Control

SECRET = "foreign-clients-signing-secret"
JAVASCRIPT = Path(__file__).parent / "javascript"
INSTALL_S = 240
STAMP = "of-this-lock"


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """Two workspaces, one of which has no app yet. Deliveries go nowhere until a test says where."""
    settings = Settings(
        port=0,
        message_count=300,
        signing_secret=SecretStr(SECRET),
        gateway_urls=[],
        other_teams=["T1OTHER"],
        retry_scale=0.01,
        delivery_timeout_s=3.0,
        nats_url=None,
    )
    running = await start(settings)
    yield running
    await running.stop()


@pytest.fixture
async def control(running: Running) -> AsyncIterator[Control]:
    """The control API."""
    async with aiohttp.ClientSession() as http:
        yield Control(running.url, http)


@pytest.fixture(scope="session")
def node() -> str:
    """Node, beside an installation of what javascript/package-lock.json pins."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Slack's clients for JavaScript need node and npm (on Debian: apt install nodejs npm)")
    lock = hashlib.sha256((JAVASCRIPT / "package-lock.json").read_bytes()).hexdigest()
    stamp = JAVASCRIPT / "node_modules" / STAMP
    if not stamp.exists() or stamp.read_text() != lock:
        command = [npm, "ci", "--prefer-offline"]
        done = subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True, timeout=INSTALL_S)
        assert done.returncode == 0, f"npm ci: {done.stderr[-2000:]}"
        stamp.write_text(lock)
    return node


def environment(running: Running) -> dict[str, str]:
    """Of a test in JavaScript. Without a proxy: everything is on this machine."""
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}  # noqa: TID251
    return inherited | {"PLAYGROUND": running.url, "SIGNING_SECRET": SECRET}
