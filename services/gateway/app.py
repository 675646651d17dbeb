"""The gateway, put together once: settings → clients → handlers → serve until SIGTERM → drain."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiohttp
from aiohttp import web

from doppel.bus import Bus, Connection, bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.secrets import TokenBox
from doppel.settings import SettingsError
from doppel.slack.client import SlackAway, SlackConnection, SlackRefused, SlackUnknown, open_slack
from doppel.storage import Storage
from doppel.transient import is_transient
from proto import subjects
from proto.slack import EventCallback, SlackEvent
from proto.subjects import consumer
from services.gateway.adapters.avatars import Avatars
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.adapters.slack import Slack
from services.gateway.adapters.web import Web
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.button import Buttons
from services.gateway.handlers.command import Commands
from services.gateway.handlers.desk import Clocks, Desk, Limits
from services.gateway.handlers.facts import Facts
from services.gateway.handlers.generate_result import Answers
from services.gateway.handlers.installing import Installer
from services.gateway.handlers.mention import MentionMetrics, Mentions
from services.gateway.handlers.persona_request import PersonaRequests
from services.gateway.handlers.posting import Poster, PostingMetrics
from services.gateway.handlers.report import Reports
from services.gateway.handlers.slack_event import SlackEvents
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository import Outbox, Personas, Questions, Trainings, Workspaces
from services.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

DATABASE_S: Final = 10.0
PRUNE_S: Final = 3600.0
CLOSE_S: Final = 5.0


async def serve(lifecycle: Lifecycle) -> None:
    """Serve until SIGTERM. Raises SettingsError, Stopping."""
    settings = lifecycle.settings
    assert isinstance(settings, GatewaySettings)
    box = token_box(settings)
    async with contextlib.AsyncExitStack() as stack:
        lifecycle.not_ready("waiting for the database")
        database = Database(settings)
        stack.push_async_callback(database.close)
        await lifecycle.wait_for("the database", database.open, timeout_s=DATABASE_S)
        timeout = aiohttp.ClientTimeout(total=settings.slack_timeout_s)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, trust_env=False))
        slack = await stack.enter_async_context(open_slack(settings.slack_api_url, settings.slack_timeout_s))
        storage = Storage(settings)
        stack.callback(storage.close)
        lifecycle.not_ready("waiting for the bus")
        connection = await stack.enter_async_context(connect(lifecycle, settings, durables_of="gateway"))
        desk = make_desk(settings, database, connection.bus, slack, session, storage, box)
        room = Room.furnish(desk, lifecycle, settings)
        room.bind(connection, settings)
        await connection.broker.start()
        await stack.enter_async_context(
            door(settings, make_web(settings, lifecycle, connection.bus, desk.response_urls))
        )
        lifecycle.add_check("bus", connection.check)
        lifecycle.add_check("database", database.check)
        async with asyncio.TaskGroup() as loops:  # each ends by itself at SIGTERM
            loops.create_task(room.installer.run(lifecycle), name="installer")
            every_s = settings.sweep_every_s
            loops.create_task(repeat(lifecycle, "ask", room.asker.sweep, every_s), name="ask")
            loops.create_task(repeat(lifecycle, "post", room.poster.sweep, every_s), name="post")
            loops.create_task(repeat(lifecycle, "prune", desk.outbox.prune, PRUNE_S), name="prune")
            lifecycle.ready()
            await lifecycle.stopping()
        await asyncio.sleep(settings.linger_s)  # whoever sends us requests learns late that we leave


def token_box(settings: GatewaySettings) -> TokenBox | None:
    """The keys for stored tokens. Raises SettingsError where a token is given without any."""
    has_keys = bool(settings.encryption_keys.get_secret_value())
    if not has_keys and settings.slack_bot_token is None:
        return None
    if settings.slack_bot_token is not None and settings.slack_signing_secret is None:
        raise SettingsError(
            "DOPPEL_SLACK_SIGNING_SECRET is missing. Slack shows it under Basic Information → App Credentials."
        )
    return TokenBox(settings.encryption_keys)


def make_desk(
    settings: GatewaySettings,
    database: Database,
    bus: Bus,
    slack: SlackConnection,
    session: aiohttp.ClientSession,
    storage: Storage,
    box: TokenBox | None,
) -> Desk:
    """What every handler works with."""
    return Desk(
        bus=bus,
        outbox=Outbox(database),
        questions=Questions(database),
        personas=Personas(database),
        trainings=Trainings(database),
        workspaces=Workspaces(database, box),
        slack=Slack(slack),
        response_urls=ResponseUrls(session, settings.slack_api_url),
        storage=storage,
        box=box,
        clocks=Clocks(
            claim_ttl_s=settings.claim_ttl_s,
            settle_s=settings.settle_after_s,
            answer_deadline_s=settings.answer_deadline_s,
            progress_every_s=settings.progress_every_s,
            corpus_max_age=timedelta(seconds=settings.corpus_max_age_s),
        ),
        limits=Limits(
            settings.outstanding_per_workspace, settings.thread_messages, settings.thread_characters
        ),
        public_url=settings.public_url,
        api_training_allowed=settings.api_training_allowed,
    )


@dataclass(frozen=True)
class Room:
    """Every handler of a replica."""

    installer: Installer
    asker: Asker
    poster: Poster
    events: SlackEvents
    answers: Answers
    facts: Facts
    persona_requests: PersonaRequests

    @classmethod
    def furnish(cls, desk: Desk, lifecycle: Lifecycle, settings: GatewaySettings) -> "Room":
        """Put the handlers together."""
        poster = Poster(desk, PostingMetrics(lifecycle.registry))
        asker = Asker(desk)
        flow = TrainingFlow(desk, poster)
        reports = Reports(desk, poster)
        installer = Installer(desk, settings.slack_bot_token)
        mentions = Mentions(desk, asker, poster, MentionMetrics(lifecycle.registry))
        commands, buttons = Commands(desk, flow, poster), Buttons(desk, flow, poster)
        return cls(
            installer,
            asker,
            poster,
            SlackEvents(desk, installer, mentions, commands, buttons),
            Answers(desk, asker, poster),
            Facts(desk, flow, reports),
            PersonaRequests(desk, flow, poster),
        )

    def bind(self, connection: Connection, settings: GatewaySettings) -> None:
        """One handler per subject, on the durables that the provisioner made."""
        served = {
            ("SLACK_EVENT", "gateway"): {subjects.SLACK_EVENT.name: self.events.on_slack_event},
            ("PERSONA_REQUEST", "gateway"): {
                subjects.PERSONA_REQUEST.name: self.persona_requests.on_persona_request
            },
            ("FACTS", "gateway"): {
                subjects.SCRAPE_RESULT.name: self.facts.on_scrape_result,
                subjects.TRAIN_RESULT.name: self.facts.on_train_result,
            },
            ("FACTS", "gateway_progress"): {
                subjects.SCRAPE_PROGRESS.name: self.facts.on_scrape_progress,
                subjects.TRAIN_PROGRESS.name: self.facts.on_train_progress,
            },
            ("ANSWERS", "gateway"): {subjects.GENERATE_RESULT.name: self.answers.on_generate_result},
        }
        for (stream, durable), handlers in served.items():
            bind(connection.broker, consumer(stream, durable), handlers, ack_wait_s=settings.ack_wait_s)


def make_web(settings: GatewaySettings, lifecycle: Lifecycle, bus: Bus, response_urls: ResponseUrls) -> Web:
    """The door."""

    async def tell(url: str, text: str) -> None:
        try:
            await response_urls.say(url, text)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.warning("not told", extra={"error": type(error).__name__})

    def say(event: SlackEvent, text: str) -> None:
        """Best effort: the bus is away, so nothing keeps it."""
        if not isinstance(event.payload, EventCallback) and event.payload.response_url:
            lifecycle.tasks.create_task(tell(event.payload.response_url, text), name="say")

    secret = settings.slack_signing_secret
    return Web(
        bus,
        Avatars(),
        lifecycle.registry,
        secret=secret.get_secret_value() if secret else None,
        body_limit_bytes=settings.body_limit_bytes,
        say=say,
    )


@contextlib.asynccontextmanager
async def door(settings: GatewaySettings, site: Web) -> AsyncGenerator[None]:
    """Listen for Slack; requests under way end before it closes."""
    runner = web.AppRunner(site.application(), access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.gateway_host, settings.gateway_port).start()
        except OSError as error:
            raise SettingsError(
                f"DOPPEL_GATEWAY_PORT {settings.gateway_port} is taken: {error.strerror}."
            ) from error
        log.info("listening", extra={"port": runner.addresses[0][1]})
        yield
    finally:
        await runner.cleanup()


async def repeat(
    lifecycle: Lifecycle, what: str, step: Callable[[], Awaitable[object]], every_s: float
) -> None:
    """Do it again and again until SIGTERM. What goes wrong is said and tried again: the rows are still there."""
    while not await lifecycle.pause(every_s):
        try:
            await step()
        except Exception as error:
            level = logging.WARNING if is_transient(error) else logging.ERROR
            log.log(
                level, "sweep failed", extra={"sweep": what, "error": type(error).__name__}, exc_info=error
            )
