"""A person's own yes or no: one row in the ledger, and what follows from a no."""

from dataclasses import dataclass

from services.gateway.core.consent import render_asker_told
from services.gateway.core.reply import with_mentions
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository import Training


@dataclass(frozen=True)
class Consents:
    """Records what people say about themselves."""

    desk: Desk
    flow: TrainingFlow

    async def record(
        self,
        installed: Installed,
        user_id: str,
        *,
        granted: bool,
        source_key: str,
        also: Training | None = None,
        forget: bool = False,
        told_by: str | None = None,
    ) -> bool:
        """Write it down once; returns what counts now: a later word counts more.

        `also`: the training it was about. `forget`: take away whatever was made from them. `told_by`: an admin said it.
        """
        desk, team_id = self.desk, installed.bot.team_id
        await desk.personas.record_consent(
            team_id,
            user_id,
            granted=granted,
            recorded_by="person" if told_by is None else "admin",
            reason="" if told_by is None else f"forgotten by {told_by}",
            source_key=source_key,
            forget=forget,
        )
        if await desk.personas.has_consent(team_id, user_id):
            return True
        told = {"text": with_mentions(render_asker_told(user_id))}
        under_way = await desk.trainings.fetch_open(team_id, user_id)
        for each in {one.request_id: one for one in [*under_way, *([also] if also else [])]}.values():
            await self.flow.stop(each, told, reason="no_consent")
        return False
