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
from services.inference.core.coalesce import Coalescer

log = logging.getLogger(__name__)

INTERVAL_S: Final = 0.05


class Core(Protocol):
    """What of the bus is needed here."""

    async def publish_core(self, subject: str, body: Body) -> None:
        """Publish on core NATS."""
        ...


@contextlib.asynccontextmanager
async def token_stream(bus: Core, request_id: UUID) -> AsyncGenerator[Callable[[str], None]]:
    """Give a function that takes pieces of text; updates leave beside the generation, never ahead of it."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    async with beside(_send(bus, request_id, pieces)):
        yield pieces.put_nowait
        pieces.put_nowait(None)


async def _send(bus: Core, request_id: UUID, pieces: asyncio.Queue[str | None]) -> None:
    coalescer = Coalescer(INTERVAL_S)
    subject = GENERATE_TOKEN.name.replace("*", str(request_id))
    loop = asyncio.get_running_loop()

    async def send(update: tuple[int, str], *, done: bool = False) -> None:
        delta = TokenDelta(request_id=request_id, seq=update[0], text=update[1], done=done)
        try:
            await bus.publish_core(subject, delta)
        except (nats.errors.Error, OSError) as error:
            log.debug("a token update is lost", extra={"error": type(error).__name__})

    while (piece := await pieces.get()) is not None:
        update = coalescer.add(piece, loop.time())
        if update is not None:
            await send(update)
    await send(coalescer.finish(), done=True)
