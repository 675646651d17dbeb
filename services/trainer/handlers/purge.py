"""``persona.purge``: runs, checkpoints, adapters, reports of one person go. ``persona.look``: what is here?"""

import logging
import socket
from dataclasses import dataclass
from os import getpid
from typing import Final

from doppel.bus import Delivery
from proto.artifacts import persona_prefix
from proto.errors import TransientError
from proto.persona import PersonaHeld, PersonaLook, PersonaPurge, PersonaPurged
from proto.subjects import PERSONA_PURGED
from services.trainer.core.run import Withdrawn
from services.trainer.handlers.ends import Canceller, end
from services.trainer.handlers.options import Tools

log = logging.getLogger(__name__)

LETS_GO_S: Final = 1.0
REPLICA: Final = f"{socket.gethostname()}:{getpid()}"


@dataclass(frozen=True)
class Purger:
    """What is under way ends first, so that nobody writes behind us. Doing it again does nothing more."""

    tools: Tools
    canceller: Canceller

    async def on_persona_purge(self, purge: PersonaPurge, delivery: Delivery) -> None:
        """One round of a purge, and the fact. Raises TransientError while another replica lets go of a run."""
        runs, store = self.tools.runs, self.tools.store
        team_id, user_id, until = purge.team_id, purge.user_id, purge.requested_at
        async with delivery.heartbeat():
            held = 0
            for each in await runs.under_way(team_id, user_id, until):
                await self.canceller.on_cancel(each.run.run_id)
                if each.is_held:
                    held += 1
                else:
                    await end(self.tools, each.run, None, Withdrawn(user_id))
            if held:
                raise TransientError("A training of theirs is ending.", delay_s=LETS_GO_S)
            removed = {"runs": await runs.forget_runs(team_id, user_id, until)}
            home = f"{persona_prefix(team_id, user_id)}/runs"
            kept = [f"{home}/{run_id}" for run_id in await runs.run_ids(team_id, user_id)]
            removed["objects"] = await store.forget_all_but(home, kept)
            result = PersonaPurged(
                request_id=purge.request_id,
                round=purge.round,
                team_id=team_id,
                user_id=user_id,
                service="trainer",
                replica=REPLICA,
                removed=removed,
            )
            key = f"{purge.request_id}/{purge.round}/trainer"
            await self.tools.bus.publish(PERSONA_PURGED, result, key=key)

    async def on_persona_look(self, look: PersonaLook) -> None:
        """How many folders lie on this disk that are their runs', or of runs that no row knows any more."""
        runs = self.tools.runs
        theirs = set(await runs.run_ids(look.team_id, look.user_id))
        folders = await self.tools.store.work_folders()
        found = [run_id for run_id in folders if run_id in theirs or not await runs.is_known(run_id)]
        held = PersonaHeld(
            request_id=look.request_id,
            service="trainer",
            replica=REPLICA,
            held={"disk": len(found)},
        )
        await self.tools.bus.publish_core(f"persona.held.{look.request_id}", held)
