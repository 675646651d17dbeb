"""Pieces of a completion under way: ``generate.token.<request_id>`` on core NATS, lossy."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg

from proto.generate import TokenDelta
from proto.subjects import GENERATE_TOKEN

MOST_WAITING = 1000  # pieces; what is more is lost, like everything on core NATS


class Tokens:
    """Listens for the pieces of one request at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @contextlib.asynccontextmanager
    async def listening(self, request_id: UUID) -> AsyncGenerator[asyncio.Queue[TokenDelta]]:
        """The pieces, from now on."""
        pieces: asyncio.Queue[TokenDelta] = asyncio.Queue(MOST_WAITING)

        async def heard(message: Msg) -> None:
            with contextlib.suppress(ValueError, asyncio.QueueFull):  # no piece of ours, or one too many
                pieces.put_nowait(TokenDelta.model_validate_json(message.data))

        subject = GENERATE_TOKEN.name.replace("*", str(request_id))
        subscription = await self._client.subscribe(subject, cb=heard)
        try:
            yield pieces
        finally:
            await subscription.unsubscribe()
