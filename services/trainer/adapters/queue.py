"""Who waits for a training: the requests on the bus, in their order."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final
from uuid import UUID

import nats.js.errors
from nats.js import JetStreamContext
from pydantic import ValidationError

from proto.body import id_of_delivery
from proto.subjects import TRAIN_REQUEST
from proto.train import TrainRequest, run_id_of
from services.trainer.core.run import Asked, Run

STREAM: Final = "TRAIN_REQUEST"
DURABLE: Final = "trainer"
TOLD: Final = 50  # who stands behind them hears later: a place this far back is hours from its turn
SEARCHED: Final = 5000  # 0.5 ms each: a cancel finds its run within the five seconds


class Queue:
    """The stream of requests, looked at without taking any."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def waiting(self) -> Sequence[Run]:
        """Whom no trainer has taken yet, the next first, at most fifty."""
        consumer = await self._jetstream.consumer_info(STREAM, DURABLE)
        taken = consumer.delivered.stream_seq if consumer.delivered else 0
        async with aclosing(self._requests(taken + 1, limit=TOLD)) as requests:
            return [asked.run async for asked in requests]

    async def find(self, run_id: UUID) -> Asked | None:
        """The request of that run, taken by a trainer or not."""
        async with aclosing(self._requests(1, limit=SEARCHED)) as requests:
            async for asked in requests:
                if asked.run.run_id == run_id:
                    return asked
        return None

    async def drop(self, asked: Asked) -> None:
        """Nobody shall take it any more. Gone already is as good."""
        with suppress(nats.js.errors.NotFoundError, nats.js.errors.ServerError):
            await self._jetstream.delete_msg(STREAM, asked.sequence)

    async def _requests(self, sequence: int, *, limit: int) -> AsyncGenerator[Asked]:
        """From a place in the stream on. What is no request is skipped: it will be parked when it is taken."""
        for _ in range(limit):
            try:
                message = await self._jetstream.get_msg(
                    STREAM, seq=sequence, subject=TRAIN_REQUEST.name, next=True
                )
            except nats.js.errors.NotFoundError:
                return
            found = message.seq or sequence
            sequence = found + 1
            try:
                request = TrainRequest.model_validate_json(message.data or b"")
            except ValidationError:
                continue
            request_id = request.request_id or id_of_delivery(STREAM, found)
            asked_at = request.requested_at or message.time
            if asked_at is not None:
                run = Run(
                    run_id=run_id_of(request_id, request.user_id),
                    request_id=request_id,
                    team_id=request.team_id,
                    user_id=request.user_id,
                    requested_at=asked_at,
                )
                yield Asked(run, found)
