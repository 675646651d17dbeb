"""What waits in the queue of scrapes, read without taking it."""

import asyncio
from typing import Final
from uuid import UUID

import nats.js.errors
from nats.js import JetStreamContext
from pydantic import ValidationError

from proto.body import id_of_delivery
from proto.scrape import ScrapeRequest
from proto.subjects import SCRAPE_REQUEST

MOST: Final = 1_000
LOOK_S: Final = 4.0


async def find_waiting(jetstream: JetStreamContext, request_id: UUID) -> ScrapeRequest | None:
    """The request of that id, among the oldest thousand. Raises nats errors, TimeoutError."""
    stream = SCRAPE_REQUEST.stream or ""
    sequence = (await jetstream.stream_info(stream)).state.first_seq
    async with asyncio.timeout(LOOK_S):
        for _ in range(MOST):
            try:
                message = await jetstream.get_msg(
                    stream, seq=sequence, subject=SCRAPE_REQUEST.name, next=True
                )
            except nats.js.errors.NotFoundError:
                return None
            sequence = (message.seq or sequence) + 1
            try:
                request = ScrapeRequest.model_validate_json(message.data or b"")
            except ValidationError:
                continue  # whoever takes it parks it
            if request_id == (request.request_id or id_of_delivery(stream, message.seq or 0)):
                return request
    return None
