"""Questions to the engine: few at once per workspace, each with the adapter as it is now, none for ever."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from proto.errors import AdapterMissing, DeadlinePassed, NoConsent, PermanentError, Refusal
from proto.generate import GenerateRequest
from proto.subjects import GENERATE_REQUEST
from proto.train import AdapterRef
from services.gateway.core.dispatch import Load, select_to_send
from services.gateway.core.outbox import OutboxRow
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.showing import Showing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asker:
    """Publishes ``generate.request``s, and answers what nobody answered in time."""

    desk: Desk
    showing: Showing

    async def dispatch(self, team_id: str) -> None:
        """Ask as many waiting questions of a workspace as there is room for, oldest first."""
        desk = self.desk
        now = datetime.now(UTC)
        rules = await desk.rules_of(team_id)

        def choose(rows: Sequence[OutboxRow], outstanding: int, last_minute: int) -> list[OutboxRow]:
            load = Load(outstanding, last_minute, desk.limits.outstanding, rules.replies_a_minute)
            return select_to_send(rows, load, now)

        rows = await desk.questions.claim_questions(
            team_id, desk.limits.outstanding, desk.clocks.ask_again_s, choose
        )
        for row in rows:
            await self._ask(row)

    async def sweep(self) -> None:
        """Take up what waited for room, or what a replica left behind; answer what is too late."""
        await self.desk.questions.expire(await self.desk.sentence("", str(DeadlinePassed())))
        for team_id in await self.desk.questions.teams_waiting(self.desk.clocks.ask_again_s):
            await self.dispatch(team_id)

    async def _ask(self, row: OutboxRow) -> None:
        request = GenerateRequest.model_validate(row.question)
        if row.user_id is not None:
            try:
                adapter = await self.adapter_of(row.team_id, row.user_id)
            except (Refusal, PermanentError) as error:  # a no from long ago or from just now
                sentence = await self.desk.sentence(row.team_id, str(error))
                await self.desk.questions.answer(row, [sentence], as_persona=False)
                return
            request = request.model_copy(update={"adapter": adapter})
        request = request.model_copy(update={"deadline_at": row.deadline_at})
        await self.showing.begin(row)
        await self.desk.bus.publish(GENERATE_REQUEST, request, key=str(row.request_id))
        await self.desk.questions.asked(row.key)

    async def adapter_of(self, team_id: str, user_id: str) -> AdapterRef:
        """The active adapter of somebody who agrees. Raises NoConsent, AdapterMissing."""
        if not await self.desk.personas.has_consent(team_id, user_id):
            raise NoConsent(user_id)
        for persona in await self.desk.personas.fetch_active(team_id):
            if persona.user_id == user_id:
                return persona.adapter
        raise AdapterMissing(user_id)
