"""Somebody speaks to us: remember it, read the thread, ask the engine."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter

from proto.body import derived_id
from proto.errors import PermanentError, Refusal
from proto.generate import GenerateRequest
from proto.slack import EventCallback
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.debate import says_stop
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.rights import is_full_member
from services.gateway.core.routing import IN_TIME, Answer, Ignore, Installed, Lateness, route
from services.gateway.core.thread import Question, Voice, read_question
from services.gateway.core.voice import select_voice
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.rendering import BOT_NAME
from services.gateway.handlers.thinking import Said, Thinker

log = logging.getLogger(__name__)

SAY_SOMETHING: Final = "What would you like to know? Write it after my name."


class MentionMetrics:
    """What became of events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "doppel_events", "Events by what we made of them.", ["outcome"], registry=registry
        )


@dataclass(frozen=True)
class Mentions:
    """Answers mentions and direct messages."""

    desk: Desk
    asker: Asker
    poster: Poster
    moderator: Moderator
    metrics: MentionMetrics
    lateness: Lateness = IN_TIME

    @property
    def thinker(self) -> Thinker:
        """From what was said to what the engine is asked."""
        return Thinker(self.desk)

    async def on_event(self, envelope: EventCallback, installed: Installed) -> None:
        """One event: nothing, or a question that will be answered exactly once."""
        decision = route(envelope, installed.bot, datetime.now(UTC), self.lateness)
        if isinstance(decision, Ignore):
            self.metrics.events.labels(decision.reason).inc()
            return
        said = decision.utterance
        if says_stop(said.text) and await self.moderator.on_mention(decision, envelope, installed):
            self.metrics.events.labels("stop").inc()
            return
        self.metrics.events.labels("answer").inc()
        key = Key(envelope.api_app_id, said.channel, said.ts)
        request_id = derived_id("generate", envelope.api_app_id, said.channel, said.ts)
        row = NewRow(
            key,
            installed.bot.team_id,
            "reply",
            request_id,
            asked_by=decision.user_id,
            thread_ts=decision.thread_ts,
            trigger_ts=said.ts,
            deadline_s=self.desk.clocks.answer_deadline_s,
            note=decision.note,
        )
        await self.desk.outbox.receive(envelope.api_app_id, envelope.event_id, row)
        known = await self.desk.outbox.fetch(request_id)
        if known is None or known.state != "pending" or known.body is not None:
            return  # answered, or being answered: nothing is left to do
        if known.question is None:
            await self._think(decision, installed, key, request_id)
        await self.asker.dispatch(installed.bot.team_id)
        await self.poster.post_due(request_id)

    async def _think(self, decision: Answer, installed: Installed, key: Key, request_id: UUID) -> None:
        """Decide who answers, read the thread, and keep the question in the row."""
        utterance, team_id = decision.utterance, installed.bot.team_id
        slack = self.desk.at(installed)
        question = read_question(utterance.text, installed.bot.user_id)
        said = Said(decision.user_id, question.text, utterance.channel, utterance.ts, utterance.thread_ts)
        thread = await self.thinker.read(installed, said.channel, said.thread_ts) if said.thread_ts else []
        try:
            voice = await self._voice(slack, decision, question, team_id)
        except (Refusal, PermanentError) as error:
            await self._say(request_id, await self.desk.sentence(team_id, str(error)))
            return
        turns = await self.thinker.turns(installed, said, thread, voice)
        if not turns:
            await self._say(request_id, await self.desk.sentence(team_id, SAY_SOMETHING))
            return
        request = GenerateRequest(request_id=request_id, team_id=team_id, user_id=voice.user_id, turns=turns)
        await self.desk.questions.set_question(key, request)

    async def _say(self, request_id: UUID, post: dict[str, Any]) -> None:
        row = await self.desk.outbox.fetch(request_id)
        if row is not None:
            await self.desk.questions.answer(row, [post], as_persona=False)

    async def _voice(
        self, slack: SlackWorkspace, decision: Answer, question: Question, team_id: str
    ) -> Voice:
        """Who answers: the person named, else who was chosen for channel or workspace, else the one trained last.

        Guests and people of other workspaces hear the bot itself, unless an admin allows it: a persona could tell them
        what they can't see.
        """
        itself, desk = Voice(None, BOT_NAME), self.desk
        rules = await desk.rules_of(team_id)
        if not rules.guests_may_ask:
            asker = None if decision.is_foreign else await slack.fetch_person(decision.user_id)
            if asker is None or not is_full_member(asker):
                return itself
        active = {each.user_id: each for each in await desk.personas.fetch_active(team_id)}
        named = question.persona_user_id
        if named is not None:
            await self.asker.adapter_of(team_id, named)  # raises what stands in the way
        chosen = await desk.voices.fetch(team_id)
        user_id = select_voice(list(active), chosen, channel=decision.utterance.channel, named=named)
        return itself if user_id is None else Voice(user_id, active[user_id].name)
