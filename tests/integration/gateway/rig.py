"""What these tests share: two gateways as processes, the playground opposite, a test that plays the engine."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import nats.errors
from cryptography.fernet import Fernet
from nats.js import JetStreamContext
from pydantic import SecretStr

from doppel.bus import Bus
from doppel.bus.broker import jetstream_of, open_client
from playground.app import Running, start
from playground.settings import Settings
from proto.body import Body
from proto.errors import DoppelError
from proto.generate import GenerateRequest, GenerateResult
from proto.subjects import GENERATE_RESULT
from tests.support.servers import TestServers
from tests.support.story import Workspace
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
CLAIM_S, SLACK_S, SETTLE_S = 2.0, 1.0, 3.0
DEBATE_TURNS = 4
READY_S = 120.0  # a busy machine is slow, not wrong
SECRET = "gateway-tests-signing-secret"


@dataclass
class Replica:
    """One ``python -m services.gateway``."""

    port: int
    health_port: int
    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where Slack finds it."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, http: aiohttp.ClientSession) -> None:
        """Run it until it says that it is ready."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOPPEL_")}  # noqa: TID251
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.gateway", cwd=ROOT, env=inherited | dict(self.environment),
                stdout=log, stderr=log,
            )  # fmt: skip

        async def ready() -> bool:
            assert self.process
            assert self.process.returncode is None, self.log.read_text()[-3000:]
            try:
                async with http.get(f"http://127.0.0.1:{self.health_port}/health/ready") as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, TimeoutError):
                return False

        await eventually(ready, what=f"gateway on {self.port}", within_s=READY_S)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()


@dataclass
class Engine:
    """Plays inference: takes what was asked, answers what the test says."""

    bus: Bus
    jetstream: JetStreamContext
    asked: list[GenerateRequest] = field(default_factory=list)
    _subscription: Any = None

    async def next_question(self, within_s: float = 15) -> GenerateRequest:
        """The next question at the engine."""
        if self._subscription is None:
            self._subscription = await self.jetstream.pull_subscribe_bind(
                "inference", stream="GENERATE_REQUEST"
            )
        message = (await self._subscription.fetch(1, timeout=within_s))[0]
        await message.ack_sync()
        request = GenerateRequest.model_validate_json(message.data)
        self.asked.append(request)
        return request

    async def question_about(self, words: str, within_s: float = 15) -> GenerateRequest:
        """The next question whose last turn has these words; others are dropped."""
        while True:
            request = await self.next_question(within_s)
            if words in request.turns[-1].content:
                return request

    async def is_idle(self, within_s: float = 1.0) -> bool:
        """Nothing is asked."""
        try:
            await self.next_question(within_s)
        except (nats.errors.TimeoutError, TimeoutError):
            return True
        return False

    async def answer(self, request: GenerateRequest, text: str, outcome: str = "done") -> None:
        """As inference would."""
        assert request.request_id
        result = GenerateResult(
            request_id=request.request_id,
            team_id=request.team_id,
            user_id=request.user_id,
            text=text,
            run_id=request.adapter and request.adapter.run_id,
        )
        await self.bus.publish(GENERATE_RESULT, result, key=f"{request.request_id}/{outcome}")

    async def refuse(self, request: GenerateRequest, error: DoppelError) -> None:
        """A typed error instead."""
        assert request.request_id
        result = GenerateResult(request_id=request.request_id, team_id=request.team_id, error=error.info())
        await self.bus.publish(GENERATE_RESULT, result, key=f"{request.request_id}/{error.code}")


@dataclass
class Rig:
    """Everything together."""

    servers: TestServers
    playground: Running
    workspace: Workspace
    replicas: list[Replica]
    engine: Engine

    async def row(self, query: str, *arguments: object) -> Any:
        """One row, as the superuser."""
        connection = await asyncpg.connect(self.servers.postgres_dsn)
        try:
            return await connection.fetchrow(query, *arguments)
        finally:
            await connection.close()

    async def change(self, query: str, *arguments: object) -> None:
        """Change a row, as the superuser: what a fault would leave behind."""
        connection = await asyncpg.connect(self.servers.postgres_dsn)
        try:
            await connection.set_type_codec(
                "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
            await connection.execute(query, *arguments)
        finally:
            await connection.close()

    async def fact(self, subject: str, **fields: Any) -> dict[str, Any]:
        """Wait for a message with these fields, in any stream."""

        async def seen() -> dict[str, Any] | None:
            found = [body for body in await self.facts(subject) if fields.items() <= body.items()]
            return found[-1] if found else None

        return await eventually(seen, what=f"{subject} {fields}", within_s=15)

    async def facts(self, subject: str) -> list[dict[str, Any]]:
        """Every message of a subject that is still there."""
        jetstream = self.engine.jetstream
        stream = await jetstream.find_stream_name_by_subject(subject)
        state = (await jetstream.stream_info(stream)).state
        bodies: list[dict[str, Any]] = []
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await jetstream.get_msg(stream, sequence)
            except nats.js.errors.NotFoundError:
                continue
            if message.subject == subject:
                bodies.append(json.loads(message.data or b"{}"))
        return bodies

    async def tell(self, subject: Any, body: Body, key: str) -> None:
        """Publish as another service would."""
        await self.engine.bus.publish(subject, body, key=key)

    async def settled(self, within_s: float = 30) -> None:
        """No row is on its way."""

        async def none() -> bool:
            row = await self.row(
                "select count(*) as n from gateway.outbox where state in ('pending', 'sending')"
            )
            return row["n"] == 0

        try:
            await eventually(none, what="the outbox is settled", within_s=within_s)
        except AssertionError as error:
            row = await self.row(
                """select json_agg(json_build_object('kind', kind, 'state', state, 'asked', asked_at)) as left
                   from gateway.outbox where state in ('pending', 'sending')"""
            )
            raise AssertionError(f"{error}: {row['left']}") from None

    async def replies(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """What the bot said in a thread."""
        return await self.workspace.bot_messages(channel, thread_ts)


async def request_of(rig: Rig, request_id: UUID) -> Any:
    """The outbox row of a request."""
    return await rig.row("select * from gateway.outbox where request_id = $1 and part = 0", request_id)


def a_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def open_rig(
    servers: TestServers,
    folder: Path,
    *,
    playground: Mapping[str, Any] | None = None,
    gateway: Mapping[str, str] | None = None,
) -> AsyncGenerator[Rig]:
    """Two gateways opposite a playground. `playground`: fields of its settings; `gateway`: variables of theirs."""
    ports = [a_port(), a_port()]
    fields: dict[str, Any] = {
        "port": 0,
        "message_count": 300,
        "signing_secret": SecretStr(SECRET),
        "gateway_urls": [f"http://127.0.0.1:{port}" for port in ports],
        "retry_scale": 0.01,
        "subscribe": ["app_mention", "message.im", "reaction_added", "app_home_opened"],
        "nats_url": None,
    }
    running = await start(Settings(**fields | dict(playground or {})))
    shared = servers.environment("gateway") | {
        "DOPPEL_SLACK_API_URL": f"{running.url}/api/",
        "DOPPEL_SLACK_BOT_TOKEN": "xoxb-playground-bot",
        "DOPPEL_SLACK_SIGNING_SECRET": SECRET,
        "DOPPEL_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DOPPEL_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
        "DOPPEL_TRAIN_ON_SLACK_API": "i-have-slacks-permission",
        "DOPPEL_CLAIM_TTL_S": str(CLAIM_S),
        "DOPPEL_SLACK_TIMEOUT_S": str(SLACK_S),
        "DOPPEL_SETTLE_S": str(SETTLE_S),
        "DOPPEL_SWEEP_EVERY_S": "0.3",
        "DOPPEL_PROGRESS_EVERY_S": "0.1",
        "DOPPEL_LINGER_S": "0.2",
        "DOPPEL_DEBATE_TURNS": str(DEBATE_TURNS),
        "DOPPEL_LOG_LEVEL": "DEBUG",
    }
    replicas: list[Replica] = []
    for number, port in enumerate(ports):
        health = a_port()
        own = {"DOPPEL_GATEWAY_PORT": str(port), "DOPPEL_HEALTH_PORT": str(health)}
        replicas.append(
            Replica(port, health, shared | own | dict(gateway or {}), folder / f"gateway-{number}.log")
        )
    client = await open_client(servers.bus)
    jetstream = jetstream_of(client)
    codes: list[int] = []
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            for replica in replicas:
                await replica.start(http)
            engine = Engine(Bus(client, jetstream), jetstream)
            yield Rig(servers, running, Workspace(http, running.url), replicas, engine)
    finally:
        codes += [await replica.stop() for replica in replicas if replica.process]
        await client.close()
        await running.stop()
    assert codes == [0, 0]
