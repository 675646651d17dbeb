"""Pieces of a completion under way, on core NATS: lossy, at most so many a second, the result carries all."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol
from uuid import UUID

import nats.errors

from proto.body import Body
from proto.generate import TokenDelta
from proto.subjects import GENERATE_TOKEN
from services.inference.adapters.beside import beside
from services.inference.core.coalesce import Coalescer, Update

log = logging.getLogger(__name__)

INTERVAL_S: Final = 0.05


class Core(Protocol):
    """What of the bus is needed here."""

    async def publish_core(self, subject: str, body: Body) -> None:
        """Publish on core NATS."""
        ...


@contextlib.asynccontextmanager
async def token_stream(bus: Core, request_id: UUID) -> AsyncGenerator[Callable[[str], None]]:
    """Give a function that takes pieces of text; updates leave beside the generation, never ahead of it.

    A piece that is not due yet only waits in memory: whoever sends is woken for updates, not for pieces.
    """
    coalescer = Coalescer(INTERVAL_S)
    updates: asyncio.Queue[Update | None] = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    def on_text(piece: str) -> None:
        update = coalescer.add(piece, clock())
        if update is not None:
            updates.put_nowait(update)

    async with beside(_send(bus, request_id, updates)):
        yield on_text
        updates.put_nowait(coalescer.finish())
        updates.put_nowait(None)


async def _send(bus: Core, request_id: UUID, updates: asyncio.Queue[Update | None]) -> None:
    subject = GENERATE_TOKEN.name.replace("*", str(request_id))
    while (update := await updates.get()) is not None:
        seq, text, done = update
        try:
            await bus.publish_core(subject, TokenDelta(request_id=request_id, seq=seq, text=text, done=done))
        except (nats.errors.Error, OSError) as error:
            log.debug("a token update is lost", extra={"error": type(error).__name__})
