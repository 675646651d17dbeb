"""What the inference bench runs against: real servers, replicas on their bus, and the engine without a bus."""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.inference_adapters import TEAM, Personas, publish, user_of
from bench.inference_processes import Replica, running
from bench.inference_straight import LINE_BYTES, Job, Traffic
from bench.inference_traffic import Ask, Run, Served, drive
from doppel.bus.broker import jetstream_of, open_client
from doppel.bus.publish import Bus
from doppel.local.home import Home, Ports
from doppel.local.servers import Servers
from doppel.local.supervisor import Supervisor
from doppel.storage import Storage
from proto import subjects
from proto.generate import GenerateRequest, GenerateResult, Sampling
from tests.support.servers import TestServers

ANSWER_S: Final = 240.0


class Waiting:
    """One question under way."""

    def __init__(self) -> None:
        self.first_at: float | None = None
        self.result: asyncio.Future[GenerateResult] = asyncio.get_running_loop().create_future()


@dataclass(frozen=True)
class StraightSide:
    """The engine alone, asked in its own process."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def run(self, asks: list[Ask], in_flight: int) -> Run:
        """The traffic. Raises SystemExit where the engine ended."""
        self.writer.write(Traffic(asks=asks, in_flight=in_flight).model_dump_json().encode() + b"\n")
        line = await self.reader.readline()
        if not line:
            raise SystemExit("the engine without a bus ended")
        return Run.model_validate_json(line)


@dataclass
class World:
    """Servers, and what is started beside them."""

    servers: TestServers
    storage: Storage
    client: Client
    folder: Path
    waiting: dict[UUID, Waiting] = field(default_factory=dict)

    async def publish(self, base_model: str, count: int) -> Personas:
        """A base model with so many personas."""
        return await publish(self.storage, base_model, self.folder, count)

    def environment(self, base_model: str, **settings: object) -> dict[str, str]:
        """Of a replica, and of what reads the same settings without one."""
        chosen = settings | {"base_model": base_model, "cache_dir": self.folder / "cache"}
        return self.servers.environment("inference") | {
            f"DOPPEL_{name.upper()}": str(value) for name, value in chosen.items()
        }

    @contextlib.asynccontextmanager
    async def replica(
        self, environment: dict[str, str], module: str = "services.inference"
    ) -> AsyncGenerator[Replica]:
        """One process of the service, ready; ended with the block."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        looked_at = Replica(0, f"http://127.0.0.1:{port}")
        port_of = {"DOPPEL_HEALTH_PORT": str(port)}
        log = self.folder / f"{module}-{port}.log"
        async with running([module], environment | port_of, log, looked_at.is_ready) as pid:
            yield Replica(pid, looked_at.url)

    @contextlib.asynccontextmanager
    async def straight(self, environment: dict[str, str], job: Job) -> AsyncGenerator[StraightSide]:
        """The engine alone, ready; ended with the block."""
        name = uuid4().hex[:8]
        path, file, log = (self.folder / f"{name}.{kind}" for kind in ("socket", "json", "log"))
        file.write_text(job.model_dump_json(), encoding="utf-8")

        async def listens() -> bool:
            return path.exists()

        arguments = ["bench.inference_straight", str(path), str(file)]
        async with running(arguments, environment, log, listens):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES)
            with contextlib.closing(writer):
                yield StraightSide(reader, writer)

    async def over_the_bus(self, personas: Personas, asks: list[Ask], in_flight: int) -> Run:
        """The traffic through ``generate.request``, as who publishes and listens there sees it."""
        bus = Bus(self.client, jetstream_of(self.client))

        async def answer(ask: Ask) -> Served:
            request = GenerateRequest(
                request_id=uuid4(),
                team_id=TEAM,
                user_id=user_of(ask.persona),
                turns=ask.turns,
                sampling=Sampling(temperature=0, repetition_penalty=1, top_p=1, max_tokens=ask.max_tokens),
                adapter=personas.refs[ask.persona],
            )
            assert request.request_id is not None
            began = time.perf_counter()
            waiting = self.waiting[request.request_id] = Waiting()
            try:
                await bus.publish(subjects.GENERATE_REQUEST, request, key=str(request.request_id))
                async with asyncio.timeout(ANSWER_S):
                    result = await waiting.result
            finally:
                del self.waiting[request.request_id]
            if result.error is not None or waiting.first_at is None:
                raise SystemExit(f"not answered: {result.error}")
            return Served(first_s=waiting.first_at - began, tokens=result.completion_tokens)

        return await drive(answer, asks, in_flight)

    async def on_token(self, message: Msg) -> None:
        """The first piece of an answer came."""
        waiting = self.waiting.get(UUID(message.subject.rpartition(".")[2]))
        if waiting is not None and waiting.first_at is None:
            waiting.first_at = time.perf_counter()

    async def on_result(self, message: Msg) -> None:
        """An answer is whole."""
        result = GenerateResult.model_validate_json(message.data)
        waiting = self.waiting.get(result.request_id)
        if waiting is not None and not waiting.result.done():
            waiting.result.set_result(result)


@contextlib.asynccontextmanager
async def opened() -> AsyncGenerator[World]:
    """Servers, provisioned; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as name:
        home = Home(Path(name) / ".doppel")
        home.make()
        async with Supervisor(home) as supervisor:
            servers = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync=False)
            await servers.start()
            await servers.set_up()
            reached = TestServers(servers)
            storage, client = Storage(reached.s3), await open_client(reached.bus)
            try:
                world = World(reached, storage, client, Path(name))
                await client.subscribe(subjects.GENERATE_TOKEN.name, cb=world.on_token)
                await client.subscribe(subjects.GENERATE_RESULT.name, cb=world.on_result)
                yield world
            finally:
                await client.close()
                storage.close()
                await servers.stop()
