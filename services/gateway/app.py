"""The gateway, put together once: settings → clients → handlers → serve until SIGTERM → drain."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiohttp

from doppel.bus import Bus, Connection, bind, connect
from doppel.database import Database
from doppel.lifecycle import Lifecycle
from doppel.secrets import TokenBox
from doppel.settings import SettingsError
from doppel.slack.client import SlackConnection, open_slack
from doppel.storage import Storage
from proto import subjects
from proto.subjects import consumer
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.adapters.slack import Slack
from services.gateway.adapters.tokens import Tokens
from services.gateway.core.routing import Lateness
from services.gateway.core.rules import Rules
from services.gateway.handlers.answer_button import AnswerButtons
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.button import Buttons
from services.gateway.handlers.choosing import Chooser
from services.gateway.handlers.command import Commands
from services.gateway.handlers.command_ask import AskCommand
from services.gateway.handlers.command_debate import DebateCommand
from services.gateway.handlers.command_persona import PersonaCommands
from services.gateway.handlers.command_train import TrainCommands
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Clocks, Desk, Limits
from services.gateway.handlers.facts import Facts
from services.gateway.handlers.forgetting import Forgetting
from services.gateway.handlers.generate_result import Answers
from services.gateway.handlers.home import HomeTab
from services.gateway.handlers.installing import Installer
from services.gateway.handlers.lives import Lives
from services.gateway.handlers.mention import MentionMetrics, Mentions
from services.gateway.handlers.menu import Menus
from services.gateway.handlers.opening import Opener
from services.gateway.handlers.persona_request import PersonaRequests
from services.gateway.handlers.posting import Poster, PostingMetrics
from services.gateway.handlers.purging import Purging
from services.gateway.handlers.rendering import Renderer
from services.gateway.handlers.report import Reports
from services.gateway.handlers.showing import Pace, Showing, StreamMetrics
from services.gateway.handlers.slack_event import SlackEvents
from services.gateway.handlers.training import TrainingFlow
from services.gateway.handlers.withdrawing import Consents
from services.gateway.repository import (
    Debates,
    Endings,
    Feedback,
    Homes,
    Outbox,
    Personas,
    Purges,
    Questions,
    RulesTable,
    Streams,
    Trainings,
    Versions,
    Voices,
    Workspaces,
)
from services.gateway.rounds import repeat
from services.gateway.settings import GatewaySettings
from services.gateway.ways_in import open_ways_in

log = logging.getLogger(__name__)

DATABASE_S: Final = 10.0
PRUNE_S: Final = 3600.0


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
        room = Room.furnish(desk, lifecycle, settings, database, connection)
        room.bind(connection, settings)
        await connection.broker.start()
        ways_in = await stack.enter_async_context(
            open_ways_in(settings, lifecycle, connection, slack, desk, database)
        )
        lifecycle.add_check("bus", connection.check)
        lifecycle.add_check("database", database.check)
        lifecycle.add_check("storage", storage.check_rights)  # answers need no bucket, pictures do
        async with asyncio.TaskGroup() as loops:  # each ends by itself at SIGTERM
            loops.create_task(room.installer.run(lifecycle), name="installer")
            every_s = settings.sweep_every_s
            loops.create_task(repeat(lifecycle, "ask", room.asker.sweep, every_s), name="ask")
            loops.create_task(repeat(lifecycle, "post", room.poster.sweep, every_s), name="post")
            loops.create_task(repeat(lifecycle, "debate", room.moderator.sweep, every_s), name="debate")
            loops.create_task(repeat(lifecycle, "home", room.home.sweep, every_s), name="home")
            loops.create_task(repeat(lifecycle, "purge", room.purging.sweep, every_s), name="purge")
            loops.create_task(repeat(lifecycle, "prune", desk.outbox.prune, PRUNE_S), name="prune")
            ways_in.start(loops)
            lifecycle.ready()
            await lifecycle.stopping()
        await asyncio.sleep(settings.linger_s)  # whoever sends us requests learns late that we leave


def token_box(settings: GatewaySettings) -> TokenBox | None:
    """The keys for stored tokens. Raises SettingsError where a token is given without any."""
    if (settings.slack_client_id is None) != (settings.slack_client_secret is None):
        missing = "ID" if settings.slack_client_id is None else "SECRET"
        raise SettingsError(
            f"DOPPEL_SLACK_CLIENT_{missing} is missing. Slack shows it under Basic Information → App Credentials."
        )
    has_keys = bool(settings.encryption_keys.get_secret_value())
    has_tokens = settings.slack_bot_token is not None or settings.slack_client_id is not None
    if not has_keys and not has_tokens:
        return None
    is_signed = settings.slack_signing_secret is not None or settings.slack_app_token is not None
    if has_tokens and not is_signed:
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
        streams=Streams(database),
        personas=Personas(database),
        trainings=Trainings(database),
        versions=Versions(database),
        voices=Voices(database),
        own_rules=RulesTable(database),
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
        rules=Rules(
            settings.who_may_train,
            settings.guests_may_ask,
            settings.personas_per_workspace,
            settings.runs_a_day,
            settings.replies_a_minute,
        ),
        public_url=settings.public_url,
        api_training_allowed=settings.api_training_allowed,
    )


@dataclass(frozen=True)
class Room:
    """Every handler of a replica."""

    installer: Installer
    asker: Asker
    moderator: Moderator
    poster: Poster
    events: SlackEvents
    home: HomeTab
    answers: Answers
    facts: Facts
    purging: Purging
    persona_requests: PersonaRequests

    @classmethod
    def furnish(
        cls,
        desk: Desk,
        lifecycle: Lifecycle,
        settings: GatewaySettings,
        database: Database,
        connection: Connection,
    ) -> "Room":
        """Put the handlers together."""
        poster = Poster(desk, PostingMetrics(lifecycle.registry))
        feedback = Feedback(database)
        renderer = Renderer(desk, feedback)
        pace = Pace(settings.reply_mode == "stream", settings.streams_a_minute, settings.stream_every_s)
        showing = Showing(
            desk,
            Tokens(connection.bus.client),
            renderer,
            poster,
            lifecycle.tasks,
            pace,
            StreamMetrics(lifecycle.registry),
        )
        asker = Asker(desk, showing)
        moderator = Moderator(desk, asker, poster, Debates(database))
        flow = TrainingFlow(desk, poster)
        reports = Reports(desk, poster)
        installer = Installer(desk, settings.slack_bot_token)
        lateness = Lateness(timedelta(seconds=settings.late_after_s), timedelta(seconds=settings.too_late_s))
        mentions = Mentions(desk, asker, poster, moderator, MentionMetrics(lifecycle.registry), lateness)
        chooser, consents, opener = Chooser(desk), Consents(desk, flow), Opener(desk)
        commands = Commands(
            desk,
            poster,
            TrainCommands(desk, flow, poster),
            PersonaCommands(desk, asker, reports, chooser, poster),
            AskCommand(desk, asker, poster),
            DebateCommand(desk, asker, moderator, settings.debate_turns),
            consents,
            opener,
        )
        menus = Menus(desk, poster, opener, commands)
        home = HomeTab(desk, Homes(database))
        answers = AnswerButtons(desk, asker, poster, feedback, moderator)
        forgetting = Forgetting(desk, consents)
        buttons = Buttons(desk, flow, poster, consents, answers, moderator, forgetting)
        return cls(
            installer,
            asker,
            moderator,
            poster,
            SlackEvents(
                desk,
                installer,
                mentions,
                commands,
                buttons,
                menus,
                Lives(desk, Endings(database)),
                moderator,
                home,
            ),
            home,
            Answers(desk, asker, poster, renderer),
            Facts(desk, flow, reports),
            Purging(desk, flow, Purges(database), connection.bus.jetstream),
            PersonaRequests(desk, flow, poster, chooser),
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
                subjects.PERSONA_PURGED.name: self.purging.on_persona_purged,
            },
            ("FACTS", "gateway_progress"): {
                subjects.SCRAPE_PROGRESS.name: self.facts.on_scrape_progress,
                subjects.TRAIN_PROGRESS.name: self.facts.on_train_progress,
            },
            ("ANSWERS", "gateway"): {subjects.GENERATE_RESULT.name: self.answers.on_generate_result},
        }
        for (stream, durable), handlers in served.items():
            bind(connection.broker, consumer(stream, durable), handlers, ack_wait_s=settings.ack_wait_s)
