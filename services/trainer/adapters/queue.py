"""Who waits for a training: the requests that no trainer has taken yet, in their order."""

import logging
from collections.abc import Sequence
from typing import Final

import nats.js.errors
from nats.js import JetStreamContext
from pydantic import ValidationError

from proto.body import id_of_delivery
from proto.train import TrainRequest, run_id_of
from services.trainer.core.run import Run

log = logging.getLogger(__name__)

STREAM: Final = "TRAIN_REQUEST"
DURABLE: Final = "trainer"
LOOK_AT: Final = 50  # so many requests; whoever stands behind them hears later


class Queue:
    """The stream of requests, only looked at."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream

    async def waiting(self) -> Sequence[Run]:
        """The next first. What is no request is skipped: it will be parked when it is taken."""
        consumer = await self._jetstream.consumer_info(STREAM, DURABLE)
        state = (await self._jetstream.stream_info(STREAM)).state
        taken = consumer.delivered.stream_seq if consumer.delivered else 0
        found: list[Run] = []
        for sequence in range(max(taken + 1, state.first_seq), state.last_seq + 1)[:LOOK_AT]:
            try:
                message = await self._jetstream.get_msg(STREAM, sequence)
                request = TrainRequest.model_validate_json(message.data or b"")
            except (nats.js.errors.NotFoundError, ValidationError):
                continue
            request_id = request.request_id or id_of_delivery(STREAM, sequence)
            asked_at = request.requested_at or message.time
            if asked_at is not None:
                found.append(
                    Run(
                        run_id=run_id_of(request_id, request.user_id),
                        request_id=request_id,
                        team_id=request.team_id,
                        user_id=request.user_id,
                        requested_at=asked_at,
                    )
                )
        return found
