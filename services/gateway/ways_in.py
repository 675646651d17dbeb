"""How Slack and browsers reach the gateway, put together: the web, sockets, installations, tokens that are renewed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from aiohttp.web_protocol import RequestHandler

from doppel.bus import Bus, Connection
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.settings import SettingsError
from doppel.slack.client import SlackAway, SlackConnection, SlackRefused, SlackUnknown
from proto.slack import EventCallback, SlackEvent
from services.gateway.adapters.avatars import Avatars
from services.gateway.adapters.oauth import OAuth
from services.gateway.adapters.oauth_web import OAuthWeb
from services.gateway.adapters.reception import Reception
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.adapters.socket_mode import SocketMode
from services.gateway.adapters.web import Web
from services.gateway.core.connections import select_ended
from services.gateway.handlers.catching_up import Catcher, Listener
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.oauth import InstallFlow
from services.gateway.handlers.renewing import Renewer
from services.gateway.repository import CatchUps, OAuthStates, Renewals
from services.gateway.rounds import repeat
from services.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
CATCH_UP_S: Final = 2.0
RENEW_S: Final = 1.0
HEADERS_S: Final = 5.0  # a connection that has not asked for anything by then is closed
KEEP_ALIVE_S: Final = 75.0  # longer than balancers keep theirs
MOST_CONNECTIONS: Final = 500  # of a replica: a process has often no more than 1,024 descriptors
BOUND_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class WaysIn:
    """What runs beside the web."""

    lifecycle: Lifecycle
    sockets: SocketMode | None
    renewer: Renewer | None
    listener: Listener
    catcher: Catcher
    every_s: float

    def start(self, loops: asyncio.TaskGroup) -> None:
        """Each ends by itself at SIGTERM."""
        beats = repeat(self.lifecycle, "listen", self.listener.beat, self.every_s)
        loops.create_task(beats, name="listen")
        loops.create_task(repeat(self.lifecycle, "catch up", self.catcher.sweep, CATCH_UP_S), name="catch up")
        if self.renewer is not None:
            rounds = repeat(self.lifecycle, "renew", self.renewer.sweep, RENEW_S)
            loops.create_task(rounds, name="renew")
        if self.sockets is not None:
            loops.create_task(self.sockets.run(self.lifecycle), name="sockets")


@contextlib.asynccontextmanager
async def open_ways_in(
    settings: GatewaySettings,
    lifecycle: Lifecycle,
    connection: Connection,
    slack: SlackConnection,
    desk: Desk,
    database: Database,
) -> AsyncGenerator[WaysIn]:
    """Listen for Slack and for browsers."""
    reception = make_reception(lifecycle, connection.bus, desk.response_urls)
    catch_ups = CatchUps(database)
    oauth = make_oauth(settings, slack)
    pages = renewer = None
    if oauth is not None:
        pages = OAuthWeb(InstallFlow(desk, OAuthStates(database), oauth), public_url=settings.public_url)
        renewer = Renewer(desk, Renewals(database, desk.box), oauth)
    site = make_web(settings, reception, pages)
    async with (
        door(settings, lifecycle, site),
        make_sockets(settings, lifecycle, slack, reception) as sockets,
    ):

        async def hears() -> bool:
            return (sockets is None or sockets.is_connected) and await reception.takes()

        yield WaysIn(
            lifecycle,
            sockets,
            renewer,
            Listener(catch_ups, hears, settings.catch_up_after_s, settings.too_late_s),
            Catcher(desk, catch_ups, lifecycle),
            settings.listen_every_s,
        )


def make_reception(lifecycle: Lifecycle, bus: Bus, response_urls: ResponseUrls) -> Reception:
    """What takes Slack's deliveries."""

    async def tell(url: str, text: str) -> None:
        try:
            await response_urls.say(url, text)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.warning("not told", extra={"error": type(error).__name__})

    def say(event: SlackEvent, text: str) -> None:
        """Best effort: the bus is away, so nothing keeps it."""
        if not isinstance(event.payload, EventCallback) and event.payload.response_url:
            lifecycle.tasks.create_task(tell(event.payload.response_url, text), name="say")

    return Reception(bus, lifecycle.registry, say=say)


def make_oauth(settings: GatewaySettings, slack: SlackConnection) -> OAuth | None:
    """The app's credentials, where workspaces may install it."""
    if settings.slack_client_id is None or settings.slack_client_secret is None:
        return None
    return OAuth(
        slack,
        settings.slack_api_url,
        settings.slack_client_id,
        settings.slack_client_secret,
        f"{settings.public_url}/slack/oauth_redirect",
    )


def make_web(settings: GatewaySettings, reception: Reception, pages: OAuthWeb | None) -> Web:
    """The door."""
    secret = settings.slack_signing_secret
    return Web(
        reception,
        Avatars(),
        pages,
        secret=secret.get_secret_value() if secret else None,
        body_limit_bytes=settings.body_limit_bytes,
    )


@contextlib.asynccontextmanager
async def make_sockets(
    settings: GatewaySettings, lifecycle: Lifecycle, slack: SlackConnection, reception: Reception
) -> AsyncGenerator[SocketMode | None]:
    """The way in without a public address, where there is a token for it."""
    if settings.slack_app_token is None:
        yield None
        return
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.slack_timeout_s)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield SocketMode(
            slack,
            session,
            reception,
            lifecycle.registry,
            app_token=settings.slack_app_token,
            count=settings.slack_sockets,
        )


@contextlib.asynccontextmanager
async def door(settings: GatewaySettings, lifecycle: Lifecycle, site: Web) -> AsyncGenerator[None]:
    """Listen for Slack; requests under way end before it closes."""
    spoke: set[RequestHandler] = set()  # connections that have asked for something

    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        spoke.add(request.protocol)
        return await handler(request)

    application = site.application()
    application.middlewares.append(note)
    server_logger.addFilter(_is_ours)
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=CLOSE_S, keepalive_timeout=KEEP_ALIVE_S
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.gateway_host, settings.gateway_port).start()
        except OSError as error:
            raise SettingsError(
                f"DOPPEL_GATEWAY_PORT {settings.gateway_port} is taken: {error.strerror}."
            ) from error
        log.info("listening", extra={"port": runner.addresses[0][1]})
        lifecycle.tasks.create_task(_bound(runner, spoke), name="connections")
        yield
    finally:
        await runner.cleanup()
        server_logger.removeFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    """What is no HTTP is its sender's fault: nobody outside shall fill the log with errors."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


async def _bound(runner: web.AppRunner, spoke: set[RequestHandler]) -> None:
    """End connections that say nothing or dribble their headers (aiohttp gives them as long as an idle one), and
    the oldest of too many."""
    opened_at: dict[RequestHandler, float] = {}
    loop = asyncio.get_running_loop()
    while (server := runner.server) is not None:
        connections = server.connections
        spoke.intersection_update(connections)
        opened_at = {each: opened_at.get(each, loop.time()) for each in connections}
        ended = select_ended(opened_at, spoke, loop.time(), patience_s=HEADERS_S, most=MOST_CONNECTIONS)
        for each in ended.cut:
            each.force_close()
        for each in ended.let_go:
            each.close()
        await asyncio.sleep(BOUND_EVERY_S)
