import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from doppel.bus.broker import jetstream_of, open_client
from doppel.storage import Storage
from proto.artifacts import BaseModelManifest
from tests.integration.inference.making import Publisher
from tests.support.bus import BusReader
from tests.support.servers import TestServers
from tests.support.waiting import eventually

READY_S = 240
PORTS = itertools.count(18_700)
LOOPS = 32


@dataclass
class Replica:
    """One inference process."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=lambda: next(PORTS))
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.inference",
                env=self.environment | {"DOPPEL_HEALTH_PORT": str(self.port)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        await eventually(self.is_ready, what=f"ready\n{self.log.read_text()[-2000:]}", within_s=READY_S)

    async def is_ready(self) -> bool:
        return await self.get("ready") == 200

    async def get(self, path: str) -> int:
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.port}/health/{path}") as answer,
            ):
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.port}/metrics") as answer,
        ):
            text = await answer.text()
        samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return sum(float(value) for sample, _, value in samples if sample.partition("{")[0] == name)

    def memory_bytes(self) -> int:
        """What the service's own process holds in memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def adapters_on_disk(self) -> str:
        """Names of the folders in its cache."""
        root = Path(self.environment["DOPPEL_CACHE_DIR"]) / "adapters"
        return " ".join(path.name for path in root.glob("*/*"))

    def family(self) -> list[int]:
        """Living processes of this replica, itself included: it leads their session. (vLLM overwrites environments.)"""
        found: list[int] = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.pid and state != "Z":
                found.append(int(folder.name))
        return found

    def engine_pids(self) -> list[int]:
        """The engine's own processes among them."""
        return [pid for pid in self.family() if Path(f"/proc/{pid}/comm").read_text().startswith("VLLM")]

    async def ended(self, within_s: float = 60) -> int:
        assert self.process is not None
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def gone(self, within_s: float) -> None:
        async def none() -> bool:
            return not self.family()

        await eventually(none, what=f"processes {self.family()} ended", within_s=within_s)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                await self.ended(60)
            except TimeoutError:
                os.killpg(self.process.pid, signal.SIGKILL)
                await self.ended(10)


@pytest.fixture(scope="session")
def environment(servers: TestServers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a replica is started with: exact arithmetic, little memory."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOPPEL_")}  # noqa: TID251
    return (
        inherited
        | servers.environment("inference")
        | {
            "DOPPEL_CACHE_DIR": str(tmp_path_factory.mktemp("inference")),
            "DOPPEL_ENGINE_DTYPE": "float32",
            "DOPPEL_CONTEXT_TOKENS": "512",
            "DOPPEL_GENERATE_LOOPS": str(LOOPS),
            "DOPPEL_ADAPTER_SLOTS": "2",
            "DOPPEL_ADAPTERS_IN_MEMORY": "3",
            "DOPPEL_ADAPTER_CACHE_MIB": "1",  # a handful: they leave and come back
            "DOPPEL_GRACEFUL_TIMEOUT_S": "20",
            "DOPPEL_LOG_LEVEL": "DEBUG",
            "OMP_NUM_THREADS": "1",
        }
    )


@pytest.fixture(scope="session")
async def replica(
    environment: dict[str, str], tiny_base: BaseModelManifest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Replica]:
    """The session's one running replica."""
    started = Replica(environment, tmp_path_factory.mktemp("log") / "inference.log")
    await started.start()
    try:
        await started.ready()
        yield started
    finally:
        await started.stop()


@pytest.fixture
async def bus(servers: TestServers) -> AsyncGenerator[BusReader]:
    client = await open_client(servers.bus)
    yield BusReader(client, jetstream_of(client))
    await client.close()


@pytest.fixture
def publisher(
    servers: TestServers, storage: Storage, tiny_base: BaseModelManifest, tmp_path: Path
) -> Publisher:
    return Publisher(storage, tiny_base, servers.postgres_dsn, tmp_path)


@pytest.fixture
def team() -> str:
    """A workspace of the test's own."""
    return f"T{uuid4().hex[:10].upper()}"
