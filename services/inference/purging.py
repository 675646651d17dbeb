"""A person is forgotten: this replica lets go of their adapters, their answers under way, and the engine's memory.

Told at once by ``persona.purge``; whoever missed that finds out by looking which versions are still there.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from doppel.bus import Publisher
from doppel.lifecycle import Lifecycle
from doppel.transient import is_transient
from proto.persona import PersonaHeld, PersonaLook, PersonaPurge, PersonaPurged
from proto.subjects import PERSONA_LOOK, PERSONA_PURGE, PERSONA_PURGED
from services.inference.adapters.adapter_store import AdapterStore
from services.inference.adapters.cancels import Cancels
from services.inference.adapters.engine import Engine, EngineDied

log = logging.getLogger(__name__)

COMPARE_S: Final = 20.0  # a replica that heard nothing lets go within a minute all the same
BUSY_S: Final = 1.0
BUSY_TRIES: Final = 30
REPLICA: Final = f"{socket.gethostname()}/{os.getpid()}"


@dataclass(frozen=True)
class Purging:
    """What inference does so that nothing of a person is left here."""

    bus: Publisher
    store: AdapterStore
    cancels: Cancels
    engine: Engine
    existing: Callable[[Sequence[UUID]], Awaitable[frozenset[UUID]]]
    on_engine_died: Callable[[], None]
    _stale: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # the engine still remembers prompts of theirs

    async def on_persona_purge(self, purge: PersonaPurge) -> None:
        """Stop, let go, and tell."""
        stopped = self.cancels.stop_persona((purge.team_id, purge.user_id))
        removed = await self.store.forget(purge.team_id, purge.user_id)
        if removed or stopped:
            self._stale.set()
        await self._forget_prompts()
        result = PersonaPurged(
            request_id=purge.request_id,
            round=purge.round,
            team_id=purge.team_id,
            user_id=purge.user_id,
            service="inference",
            replica=REPLICA,
            removed={"adapters": removed, "answers": stopped},
        )
        key = f"{purge.request_id}/{purge.round}/{REPLICA}"
        await self.bus.publish(PERSONA_PURGED, result, key=key)

    async def on_persona_look(self, look: PersonaLook) -> None:
        """What is here."""
        held = await self.store.held(look.team_id, look.user_id)
        held["answers"] = self.cancels.running_for((look.team_id, look.user_id))
        held["prompts"] = int(self._stale.is_set())
        answer = PersonaHeld(request_id=look.request_id, service="inference", replica=REPLICA, held=held)
        await self.bus.publish_core(f"persona.held.{look.request_id}", answer)

    async def compare(self) -> None:
        """Once: what is no adapter any more leaves."""
        if await self.store.compare(self.existing):
            self._stale.set()
        await self._forget_prompts(tries=1)

    async def run(self, lifecycle: Lifecycle) -> None:
        """Again and again, until SIGTERM."""
        while not await lifecycle.pause(COMPARE_S):
            await self.safely(self.compare)

    async def _forget_prompts(self, tries: int = BUSY_TRIES) -> None:
        """The engine does it only while nothing runs; while it is busy the next look does it."""
        for _ in range(tries):
            if not self._stale.is_set():
                return
            if await self.engine.forget_prompts():
                self._stale.clear()
                return
            if tries > 1:
                await asyncio.sleep(BUSY_S)

    async def safely(self, call: Callable[[], Awaitable[None]]) -> None:
        """Who is away now is there the next time."""
        try:
            await call()
        except EngineDied:
            self.on_engine_died()
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("not let go of yet", extra={"error": type(error).__name__})


async def listen(lifecycle: Lifecycle, client: Client, purging: Purging) -> None:
    """Subscribe; the subscriptions outlive reconnects."""

    async def on_purge(message: Msg) -> None:
        with contextlib.suppress(ValidationError):  # its readers of record park it
            purge = PersonaPurge.model_validate_json(message.data)
            lifecycle.tasks.create_task(purging.safely(lambda: purging.on_persona_purge(purge)), name="purge")

    async def on_look(message: Msg) -> None:
        with contextlib.suppress(ValidationError):
            look = PersonaLook.model_validate_json(message.data)
            await purging.safely(lambda: purging.on_persona_look(look))

    await client.subscribe(PERSONA_PURGE.name, cb=on_purge)
    await client.subscribe(PERSONA_LOOK.name, cb=on_look)
