"""What every handler works with: tables, Slack, the bus, the clocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from doppel.bus import Publisher
from doppel.secrets import TokenBox
from doppel.slack import mrkdwn
from doppel.storage import Storage
from proto.body import derived_id
from proto.generate import Cancel
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.adapters.slack import Slack, SlackWorkspace
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.reply import Post, render_sentence
from services.gateway.core.routing import Installed
from services.gateway.core.rules import Rules, rules_of
from services.gateway.repository import (
    Outbox,
    Personas,
    Questions,
    RulesTable,
    Streams,
    Trainings,
    Versions,
    Voices,
    Workspaces,
)


@dataclass(frozen=True)
class Clocks:
    """How long things may take."""

    claim_ttl_s: float
    settle_s: float
    answer_deadline_s: float
    progress_every_s: float
    corpus_max_age: timedelta
    ask_again_s: float = 10.0  # a question whose publisher died is published again


@dataclass(frozen=True)
class Limits:
    """How much."""

    outstanding: int
    thread_messages: int
    thread_characters: int


@dataclass(frozen=True)
class Desk:
    """Put together once in `app`."""

    bus: Publisher
    outbox: Outbox
    questions: Questions
    streams: Streams
    personas: Personas
    trainings: Trainings
    versions: Versions
    voices: Voices
    own_rules: RulesTable
    workspaces: Workspaces
    slack: Slack
    response_urls: ResponseUrls
    storage: Storage
    box: TokenBox | None
    clocks: Clocks
    limits: Limits
    rules: Rules  # the deployment's
    public_url: str
    api_training_allowed: bool

    def at(self, installed: Installed) -> SlackWorkspace:
        """Slack's Web API with that workspace's token."""
        return self.slack.of(installed)

    async def stop_answer(self, request_id: UUID, reason: str) -> None:
        """The engine need not go on with it."""
        await self.bus.publish_core(f"generate.cancel.{request_id}", Cancel(reason=reason))

    async def sentence(self, team_id: str, text: str) -> Post:
        """One plain sentence, with names in place of ids."""
        return render_sentence(text, await self.names(team_id, mrkdwn.mentions(text)))

    async def rules_of(self, team_id: str) -> Rules:
        """What counts in a workspace: looked up each time, so that an admin's word counts at once."""
        return rules_of(self.rules, await self.own_rules.fetch(team_id))

    async def names(self, team_id: str, user_ids: Iterable[str]) -> dict[str, str]:
        """What our own table calls people."""
        return {user_id: await self.personas.fetch_name(team_id, user_id) for user_id in set(user_ids)}


async def make_notice(
    desk: Desk,
    installed: Installed,
    *,
    channel: str,
    trigger: str,
    asked_by: str,
    response_url: str,
    post: Post,
) -> NewRow:
    """A sentence that only the asker sees: through the response_url, or by DM where there is none."""
    bot = installed.bot
    sealed = seal_url(desk, bot.team_id, response_url)
    if sealed is None:
        channel = await desk.at(installed).open_dm(asked_by)
    return NewRow(
        Key(bot.api_app_id, channel, trigger),
        bot.team_id,
        "notice",
        derived_id("notice", bot.api_app_id, trigger),
        asked_by=asked_by,
        response_url=sealed,
        body=dict(post),
    )


def seal_url(desk: Desk, team_id: str, response_url: str) -> str | None:
    """A response_url is a bearer secret: kept sealed, like a token. None where there is none to keep."""
    if not response_url or desk.box is None:
        return None
    return desk.box.seal(team_id, response_url).decode()
