"""Connect: one broker per process, reconnecting for ever, settled by `Settle`, measured and traced."""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import nats.errors
import nats.js.errors
from faststream.nats import NatsBroker
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.prometheus import NatsPrometheusMiddleware
from faststream.nats.security import NatsUserPassword
from nats.aio.client import Client
from nats.js import JetStreamContext

from doppel.bus.access import OPS, inbox_of
from doppel.bus.publish import Bus
from doppel.bus.settle import settle_with
from doppel.lifecycle import Lifecycle
from doppel.refusals import Refusals
from doppel.settings import BusSettings, SettingsError
from proto.subjects import CONSUMERS

log = logging.getLogger(__name__)

STOP_S: Final = 5.0
PING_S: Final = 20
CONNECT_S: Final = 2
RECONNECT_S: Final = 1

UNKNOWN: Final = (
    "The bus knows no such user with this password. Set DOPPEL_NATS_USER and DOPPEL_NATS_PASSWORD."
)
OnError = Callable[[Exception], Awaitable[None]]


async def _log_error(error: Exception) -> None:
    log.warning("bus connection", extra={"error": type(error).__name__})


def _remembering(refusals: Refusals) -> OnError:
    """A refused publish is a timeout to whoever made it, a refused subscription is silence: only this hears why."""

    async def on_error(error: Exception) -> None:
        if "permissions violation" in str(error).lower():
            refusals.note(f"the bus refused us: {error}; its users' rights come from `doppel secrets`")
        else:
            await _log_error(error)

    return on_error


async def open_client(
    settings: BusSettings,
    *,
    user: str = OPS,
    reconnect: bool = True,
    on_error: OnError = _log_error,
    on_disconnect: Callable[[], Awaitable[None]] | None = None,
) -> Client:
    """A nats-py client; its default of 60 reconnects would end in a frozen loop. Raises OSError, nats errors.

    `user` names the inbox that replies come to: the one that a service of that name may listen to.
    """
    client = Client()
    password = settings.nats_password
    await client.connect(  # pyright: ignore[reportUnknownMemberType]  nats-py types its options loosely
        servers=[settings.nats_url],
        user=settings.nats_user,
        password=password.get_secret_value() if password else None,
        allow_reconnect=reconnect,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_S,
        ping_interval=PING_S,
        connect_timeout=CONNECT_S,
        error_cb=on_error,
        disconnected_cb=on_disconnect,
        inbox_prefix=inbox_of(user),
    )
    return client


def jetstream_of(client: Client, timeout_s: float = 5) -> JetStreamContext:
    """Its JetStream context."""
    return client.jetstream(timeout=timeout_s)  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True)
class Connection:
    """A raw client for publishing and core subscriptions, and the broker that serves the durables."""

    bus: Bus
    broker: NatsBroker
    refusals: Refusals

    async def check(self) -> None:
        """Raise unless connected, and allowed what was asked since."""
        self.refusals.check()
        if not self.bus.client.is_connected:
            raise nats.errors.ConnectionClosedError


def _security(settings: BusSettings) -> NatsUserPassword | None:
    if settings.nats_user is None or settings.nats_password is None:
        return None
    return NatsUserPassword(settings.nats_user, settings.nats_password.get_secret_value())


def _ending_unless(leaving: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def closed() -> None:
        """nats-py gave up for good, which FastStream's pull loop would answer with a frozen event loop."""
        if not leaving.is_set():
            log.critical("the bus connection is closed for good; ending")
            os._exit(70)

    return closed


def is_unknown(error: Exception) -> bool:
    """Whether the server knows no such user with this password: nats-py has no class for it."""
    return "authorization violation" in str(error).lower()


@contextlib.asynccontextmanager
async def connect(
    lifecycle: Lifecycle, settings: BusSettings, *, durables_of: str | None = None
) -> AsyncGenerator[Connection]:
    """Connect and wait until the provisioner has made what `durables_of` (a service) binds to.

    The caller binds handlers, then starts the broker; leaving the block drains it: running handlers get
    `graceful_timeout_s`, then are cancelled and their messages handed over.
    """
    refusals = Refusals(math.inf)  # a refused subscription stays deaf, and is told only once
    async with raw_client(lifecycle, settings, refusals) as client:
        jetstream = jetstream_of(client)
        bus = Bus(client, jetstream)
        if durables_of is not None:
            await _wait_for_durables(lifecycle, jetstream, durables_of)
        leaving = asyncio.Event()
        broker = NatsBroker(
            settings.nats_url,
            security=_security(settings),
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_S,
            ping_interval=PING_S,
            connect_timeout=CONNECT_S,
            inbox_prefix=inbox_of(lifecycle.service),
            error_cb=_remembering(refusals),
            closed_cb=_ending_unless(leaving),
            graceful_timeout=settings.graceful_timeout_s,
            logger=None,
            apply_types=False,  # nothing is injected into handlers, and a message needs no thread for it
            middlewares=[
                NatsTelemetryMiddleware(tracer_provider=lifecycle.tracer_provider),
                NatsPrometheusMiddleware(registry=lifecycle.registry, app_name=f"doppel-{lifecycle.service}"),
                settle_with(bus),
            ],
        )
        try:
            yield Connection(bus, broker, refusals)
        finally:
            leaving.set()
            try:
                async with asyncio.timeout(settings.graceful_timeout_s + STOP_S):
                    await broker.stop()
            except TimeoutError:
                log.warning("the bus took too long to let go")


@contextlib.asynccontextmanager
async def raw_client(
    lifecycle: Lifecycle, settings: BusSettings, refusals: Refusals
) -> AsyncGenerator[Client]:
    """A nats-py client that waits for the server and outlives its restarts; a reconnect may bring other rights."""
    user = lifecycle.service

    async def probe() -> None:
        try:
            await (await open_client(settings, user=user, reconnect=False)).close()
        except nats.errors.Error as error:
            if is_unknown(error):
                raise SettingsError(UNKNOWN) from error
            raise

    async def forget() -> None:
        refusals.forget()

    await lifecycle.wait_for("the bus", probe)
    client = await open_client(settings, user=user, on_error=_remembering(refusals), on_disconnect=forget)
    try:
        yield client
    finally:
        with contextlib.suppress(nats.errors.Error, TimeoutError):  # nothing of ours is left to flush
            async with asyncio.timeout(STOP_S):
                await client.flush()
        await client.close()


async def _wait_for_durables(lifecycle: Lifecycle, jetstream: JetStreamContext, service: str) -> None:
    async def attempt() -> None:
        for consumer in CONSUMERS:
            if consumer.service == service:
                await jetstream.consumer_info(consumer.stream, consumer.durable)

    await lifecycle.wait_for(
        "the bus to be provisioned (`doppel bus apply`)",
        attempt,
        on=(nats.js.errors.Error,),
    )
