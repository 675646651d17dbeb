"""Which version of a voice answers: an operator's word, or that of its person or an admin."""

import logging
from dataclasses import dataclass
from uuid import UUID

from proto.errors import NoConsent, VersionMissing
from proto.persona import PersonaAction, PersonaResult
from proto.subjects import PERSONA_RESULT
from proto.train import AdapterRef
from services.gateway.handlers.desk import Desk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chooser:
    """Points at another version. The active one is what inference looks up for the next question."""

    desk: Desk

    async def choose(
        self, request_id: UUID, team_id: str, user_id: str, action: PersonaAction, run_id: UUID | None = None
    ) -> AdapterRef:
        """`run_id`, or the version before the active one; and tell the fact. Raises NoConsent, VersionMissing."""
        if not await self.desk.personas.has_consent(team_id, user_id):
            raise NoConsent(user_id)
        adapter = await self.desk.personas.choose(request_id, team_id, user_id, run_id)
        if adapter is None:
            raise VersionMissing(user_id, run_id)
        log.info(
            "version chosen", extra={"user_id": user_id, "run_id": str(adapter.run_id), "action": action}
        )
        result = PersonaResult(
            request_id=request_id, team_id=team_id, user_id=user_id, action=action, run_id=adapter.run_id
        )
        await self.desk.bus.publish(PERSONA_RESULT, result, key=f"{request_id}/done")
        return adapter
