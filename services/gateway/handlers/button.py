"""Buttons. *Allow* and *No*: only the person asked may press them, each press is one row in the ledger. *Forget*."""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.slack.client import SlackRefused
from proto.body import derived_id
from proto.slack import Action, Interaction
from services.gateway.core.consent import ALLOW, DENY, OWN, render_asker_told, render_outcome, render_own
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.reply import Post
from services.gateway.core.rights import NotAllowed
from services.gateway.core.routing import Installed
from services.gateway.handlers.answer_button import AnswerButtons
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.forgetting import ACTIONS as FORGET_ACTIONS
from services.gateway.handlers.forgetting import Forgetting
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.pressed import tell_presser
from services.gateway.handlers.training import TrainingFlow
from services.gateway.handlers.withdrawing import Consents
from services.gateway.repository import Training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Buttons:
    """What people press."""

    desk: Desk
    flow: TrainingFlow
    poster: Poster
    consents: Consents
    answers: AnswerButtons
    moderator: Moderator
    forgetting: Forgetting

    async def on_interaction(self, pressed: Interaction, installed: Installed, received_at: datetime) -> None:
        """Record the answer, act on it, show it."""
        if await self.answers.on_interaction(pressed, installed, received_at):
            return
        if await self.moderator.on_button(pressed, installed):
            return
        for action in pressed.actions:
            if action.action_id in (ALLOW, DENY):
                await self._on_consent(pressed, action, installed)
            elif action.action_id in FORGET_ACTIONS:
                await self._on_forget(pressed, action, installed)

    async def _on_forget(self, pressed: Interaction, action: Action, installed: Installed) -> None:
        try:
            post = await self.forgetting.pressed(pressed, action, installed)
        except NotAllowed as error:
            await tell_presser(self.desk, self.poster, pressed, installed, str(error))
            return
        if post is not None:
            await self._show(pressed, installed, post)

    async def _on_consent(self, pressed: Interaction, action: Action, installed: Installed) -> None:
        team_id = installed.bot.team_id
        granted = action.action_id == ALLOW
        source_key = f"button/{pressed.api_app_id}/{pressed.trigger_id}"
        if action.value == OWN:  # about oneself: only the presser's own word is meant
            await self.consents.record(installed, pressed.user.id, granted=granted, source_key=source_key)
            post = render_own(await self.desk.personas.fetch_consent(team_id, pressed.user.id))
            await self._show(pressed, installed, post)
            return
        training = await self._training(action, team_id)
        if training is None:
            await tell_presser(self.desk, self.poster, pressed, installed, "That question is no longer open.")
            return
        if pressed.user.id != training.user_id:
            await tell_presser(
                self.desk, self.poster, pressed, installed, f"Only <@{training.user_id}> can answer that."
            )
            return
        agrees = await self.consents.record(
            installed, training.user_id, granted=granted, source_key=source_key, also=training
        )
        if not agrees:
            await self._on_no(training, pressed, installed)
        elif training.state != "done":
            await self.flow.start(training)
        if training.state == "done":  # over, or stopped: only the word itself is left to be told
            post = render_own(await self.desk.personas.fetch_consent(team_id, training.user_id))
        else:
            post = render_outcome(granted=agrees, request_id=str(training.request_id))
        await self._show(pressed, installed, post)

    async def _training(self, action: Action, team_id: str) -> Training | None:
        try:
            request_id = UUID(action.value or "")
        except ValueError:
            return None
        found = await self.desk.trainings.fetch(request_id)
        return found if found and found.team_id == team_id else None

    async def _on_no(self, training: Training, pressed: Interaction, installed: Installed) -> None:
        """Whoever asked hears it, plainly."""
        if training.asked_by == training.user_id:
            return
        bot = installed.bot
        row = NewRow(
            Key(
                bot.api_app_id,
                await self.desk.at(installed).open_dm(training.asked_by),
                f"{pressed.container.message_ts or ''}#{pressed.trigger_id}",
            ),
            training.team_id,
            "notice",
            derived_id("consent-no", bot.api_app_id, pressed.trigger_id),
            asked_by=training.asked_by,
            body=await self.desk.sentence(training.team_id, render_asker_told(training.user_id)),
        )
        await self.desk.outbox.receive(bot.api_app_id, pressed.trigger_id, row)
        await self.poster.post_due(row.request_id)

    async def _show(self, pressed: Interaction, installed: Installed, post: Post) -> None:
        """The question becomes its answer: the same text twice is the same."""
        place = pressed.container
        try:
            if place.is_ephemeral:
                await self.desk.response_urls.replace(pressed.response_url, post)
            elif place.channel_id is not None and place.message_ts is not None:
                await self.desk.at(installed).update(place.channel_id, place.message_ts, post)
        except SlackRefused as error:
            log.warning("the question was not changed", extra={"reason": error.reason})
