"""What the bench of the Slack API source runs against: real servers, a large playground with limits, a scraper."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import aiohttp
import asyncpg
from nats.aio.client import Client
from pydantic import SecretStr

from doppel.bus.broker import jetstream_of, open_client
from doppel.bus.publish import Bus
from doppel.local.home import Home, Ports
from doppel.local.servers import Servers
from doppel.local.supervisor import Supervisor
from doppel.secrets import TokenBox, new_key
from playground.bulk import Size
from proto import subjects
from proto.scrape import ScrapeProgress, ScrapeRequest, ScrapeResult
from tests.support.servers import TestServers

ROOT: Final = Path(__file__).resolve().parents[1]
TEAM: Final = "T0DOPPEL"
TOKEN: Final = "xoxb-playground-bot"
ACK_WAIT_S: Final = 3.0
LEASE_S: Final = 4.0
READY_S: Final = 60.0


@dataclass
class Finished:
    """How a scrape ended, what it said on its way, and when."""

    result: ScrapeResult
    progress: list[ScrapeProgress]
    wall_s: float


@dataclass
class World:
    """Everything the bench talks to."""

    servers: TestServers
    database: "asyncpg.Connection[asyncpg.Record]"
    client: Client
    http: aiohttp.ClientSession
    folder: Path
    slack_url: str
    scale: float
    key: str = field(default_factory=new_key)

    async def ask_slack(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """The playground's control API."""
        async with self.http.request(
            method, f"{self.slack_url}/playground/{path}", json=body or None
        ) as answer:
            return await answer.json()

    async def reset(self) -> None:
        """A fresh workspace, no call counted, no limit used up."""
        await self.ask_slack("POST", "reset")

    async def calls(self) -> list[dict[str, Any]]:
        """Answered calls by method and arguments."""
        return (await self.ask_slack("GET", "calls"))["calls"]

    async def install(self) -> None:
        """The workspace's token, as the gateway stores it."""
        await self.database.execute(
            """insert into gateway.installations (team_id, api_app_id, bot_user_id, bot_token)
               values ($1, 'A0DOPPEL', 'U0DOPPEL', $2)""",
            TEAM,
            TokenBox(SecretStr(self.key)).seal(TEAM, TOKEN),
        )

    async def scraper(self) -> asyncio.subprocess.Process:
        """A scraper, ready. Each reading is of everything."""
        environment = self.servers.environment("scraper") | {
            "DOPPEL_ENCRYPTION_KEYS": self.key,
            "DOPPEL_SCRAPE_LEASE_S": str(LEASE_S),
            "DOPPEL_SLACK_API_URL": f"{self.slack_url}/api/",
            "DOPPEL_SLACK_RATE_SCALE": str(self.scale),
            "DOPPEL_TRAIN_ON_SLACK_API": "i-have-slacks-permission",
            "DOPPEL_INCREMENTAL": "false",
        }
        log = self.folder / f"scraper-{uuid4().hex[:6]}.log"

        async def is_ready() -> bool:
            return " ready" in await asyncio.to_thread(log.read_text)

        return await start("services.scraper", environment, log, is_ready)

    async def ask(self) -> UUID:
        """Publish a scrape.request."""
        request_id = uuid4()
        await Bus(self.client, jetstream_of(self.client)).publish(
            subjects.SCRAPE_REQUEST,
            ScrapeRequest(request_id=request_id, team_id=TEAM, source="api"),
            key=str(request_id),
        )
        return request_id

    async def finished(self, request_id: UUID, began: float, within_s: float) -> Finished:
        """Wait for the outcome."""
        jetstream = jetstream_of(self.client)
        progress: list[ScrapeProgress] = []
        subscription = await jetstream.subscribe("scrape.*", stream="FACTS", ordered_consumer=True)
        try:
            async with asyncio.timeout(within_s):
                async for message in subscription.messages:
                    if message.subject == subjects.SCRAPE_PROGRESS.name:
                        progress.append(ScrapeProgress.model_validate_json(message.data))
                    elif message.subject == subjects.SCRAPE_RESULT.name:
                        result = ScrapeResult.model_validate_json(message.data)
                        if result.request_id == request_id:
                            wall_s = time.monotonic() - began
                            mine = [each for each in progress if each.request_id == request_id]
                            return Finished(result, mine, wall_s)
        finally:
            await subscription.unsubscribe()
        raise TimeoutError

    async def content_sha256(self, corpus_id: UUID | None) -> str:
        """What a committed corpus holds, as a hash that no time and no id goes into."""
        return await self.database.fetchval(
            "select content_sha256 from scraper.corpora where corpus_id = $1", corpus_id
        )


async def start(
    module: str, environment: dict[str, str], log_path: Path, is_ready: Callable[[], Awaitable[bool]]
) -> asyncio.subprocess.Process:
    """A child process, once it says that it is ready."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DOPPEL_")}  # noqa: TID251  a child's
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, cwd=ROOT, env=inherited | environment, stdout=log, stderr=log
        )
    deadline = time.monotonic() + READY_S
    while not await is_ready():
        if process.returncode is not None or time.monotonic() > deadline:
            said = await asyncio.to_thread(log_path.read_text)
            raise AssertionError(f"{module} is not ready:\n{said[-3000:]}")
        await asyncio.sleep(0.1)
    return process


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and a while later SIGKILL."""
    if process.returncode is not None:
        return
    process.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(15):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def opened(scale: float, size: Size) -> AsyncGenerator[World]:
    """Servers, playground and an installed workspace; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as name:
        folder = Path(name)
        home = Home(folder / ".doppel")
        home.make()
        async with Supervisor(home) as supervisor, aiohttp.ClientSession() as http:
            running = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync=False)
            await running.start()
            await running.set_up(ack_wait_s=ACK_WAIT_S)
            servers = TestServers(running)
            playground, url = await _playground(folder, http, scale, size)
            database = await asyncpg.connect(servers.postgres_dsn)
            client = await open_client(servers.bus)
            try:
                world = World(servers, database, client, http, folder, url, scale)
                await world.install()
                yield world
            finally:
                await client.close()
                await database.close()
                await end(playground)
                await running.stop()


async def _playground(
    folder: Path, http: aiohttp.ClientSession, scale: float, size: Size
) -> tuple[asyncio.subprocess.Process, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings: dict[str, object] = {
        "PORT": port,
        "BULK_CHANNELS": size.channels,
        "BULK_MESSAGES": size.messages,
        "BULK_THREADS": size.threads,
        "RATE_LIMITS": "slack",
        "CLOCK_SCALE": scale,
        "GATEWAY_URLS": "http://127.0.0.1:9",
        "BOT_TOKEN": TOKEN,
    }

    async def answers() -> bool:
        try:
            async with http.get(f"{url}/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    environment = {f"DOPPEL_PLAYGROUND_{name}": str(value) for name, value in settings.items()}
    return await start("playground", environment, folder / "playground.log", answers), url
