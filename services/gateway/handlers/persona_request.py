"""``persona.request``: an operator records what a person said, forgets them, or chooses which version answers."""

import logging
from dataclasses import dataclass
from uuid import UUID

from doppel.bus import Delivery
from doppel.slack.client import SlackRefused
from proto.body import derived_id
from proto.persona import PersonaRequest, PersonaResult
from proto.subjects import PERSONA_RESULT
from services.gateway.core.consent import render_asker_told, render_recorded
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.reply import with_mentions
from services.gateway.core.routing import Installed
from services.gateway.handlers.choosing import Chooser
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.training import TrainingFlow

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonaRequests:
    """The operator's actions; the command line never writes tables."""

    desk: Desk
    flow: TrainingFlow
    poster: Poster
    chooser: Chooser

    async def on_persona_request(self, request: PersonaRequest, delivery: Delivery) -> None:
        """Do what the operator asks, and tell the fact. Raises NoConsent, VersionMissing."""
        request_id = request.request_id or delivery.id
        if request.action == "consent":
            await self._record(request, request_id, granted=bool(request.granted))
        elif request.action == "forget":
            await self._record(request, request_id, granted=False)
        else:
            run_id = request.run_id if request.action == "activate" else None
            await self.chooser.choose(request_id, request.team_id, request.user_id, request.action, run_id)

    async def _record(self, request: PersonaRequest, request_id: UUID, *, granted: bool) -> None:
        """One row in the ledger, the fact, and a DM to the person where Slack can be reached."""
        team_id, user_id = request.team_id, request.user_id
        await self.desk.personas.store(team_id, user_id, request.name or "")
        await self.desk.personas.record_consent(
            team_id,
            user_id,
            granted=granted,
            recorded_by="operator",
            reason=request.reason,
            source_key=f"operator/{request_id}",
            forget=request.action == "forget",
        )
        if not await self.desk.personas.has_consent(team_id, user_id):
            for training in await self.desk.trainings.fetch_open(team_id, user_id):
                told = {"text": with_mentions(render_asker_told(user_id))}
                await self.flow.stop(training, told, reason="no_consent")
        result = PersonaResult(
            request_id=request_id, team_id=team_id, user_id=user_id, action=request.action, granted=granted
        )
        await self.desk.bus.publish(PERSONA_RESULT, result, key=f"{request_id}/done")
        installed = await self.desk.workspaces.fetch(team_id)
        if installed is not None:
            await self._learn_name(installed, user_id)
            await self._tell(installed, user_id, str(request_id), granted=granted)

    async def _learn_name(self, installed: Installed, user_id: str) -> None:
        """Slack's own name for them, where it knows them."""
        try:
            person = await self.desk.at(installed).fetch_person(user_id)
        except SlackRefused as error:
            log.warning("name not found", extra={"user_id": user_id, "reason": error.reason})
            return
        if person is not None:
            await self.desk.personas.store(installed.bot.team_id, user_id, person.name)

    async def _tell(self, installed: Installed, user_id: str, request_id: str, *, granted: bool) -> None:
        try:
            channel = await self.desk.at(installed).open_dm(user_id)
        except SlackRefused as error:
            log.warning("not told", extra={"user_id": user_id, "reason": error.reason})
            return
        row = NewRow(
            Key(installed.bot.api_app_id, channel, f"persona:{request_id}"),
            installed.bot.team_id,
            "notice",
            derived_id("persona", request_id),
            user_id=user_id,
            body={"text": render_recorded(granted=granted)},
        )
        await self.desk.outbox.add(row)
        await self.poster.post_due(row.request_id)
