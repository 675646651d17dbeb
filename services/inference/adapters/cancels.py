"""Who asked for a stop: ``generate.cancel.<request_id>``, also for requests that still wait in the queue."""

import asyncio
import contextlib
from collections.abc import Generator
from typing import Final
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from proto.errors import Cancelled
from proto.subjects import GENERATE_CANCEL

Persona = tuple[str, str]  # workspace and person
REMEMBERED: Final = 1000  # stops for requests that nobody here has taken up yet


class Cancels:
    """Stops the block that works on a request. Every replica hears every stop."""

    def __init__(self) -> None:
        self._running: dict[UUID, asyncio.Timeout] = {}
        self._persona_of: dict[UUID, Persona] = {}
        self._stopped: dict[UUID, None] = {}

    async def listen(self, client: Client) -> None:
        """Subscribe; the subscription outlives reconnects."""

        async def on_cancel(message: Msg) -> None:
            with contextlib.suppress(ValueError):  # no id of ours
                self.stop(UUID(message.subject.rpartition(".")[2]))

        await client.subscribe(GENERATE_CANCEL.name, cb=on_cancel)

    def stop(self, request_id: UUID) -> None:
        """Stop it now, or as soon as it is taken up."""
        self._stopped[request_id] = None
        while len(self._stopped) > REMEMBERED:
            del self._stopped[next(iter(self._stopped))]
        if (running := self._running.get(request_id)) is not None:
            running.reschedule(asyncio.get_running_loop().time())

    def stop_persona(self, persona: Persona) -> int:
        """Stop whatever runs in that person's voice; returns how many."""
        theirs = [request_id for request_id, whose in self._persona_of.items() if whose == persona]
        for request_id in theirs:
            self.stop(request_id)
        return len(theirs)

    def running_for(self, persona: Persona) -> int:
        """How many answers in that person's voice are under way."""
        return sum(whose == persona for whose in self._persona_of.values())

    @contextlib.contextmanager
    def watching(
        self, request_id: UUID, timeout: asyncio.Timeout, persona: Persona | None = None
    ) -> Generator[None]:
        """Let a stop end `timeout`. Raises Cancelled where it already came."""
        if request_id in self._stopped:
            raise Cancelled
        self._running[request_id] = timeout
        if persona is not None:
            self._persona_of[request_id] = persona
        try:
            yield
        finally:
            del self._running[request_id]
            self._persona_of.pop(request_id, None)

    def was_stopped(self, request_id: UUID) -> bool:
        """Whether somebody asked for it."""
        return request_id in self._stopped
