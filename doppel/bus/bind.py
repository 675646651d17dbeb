"""Bind a handler to a provisioned durable: N one-at-a-time loops, bodies validated, ids filled in."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import nats.errors
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from nats.aio.msg import Msg

from doppel.bus.access import inbox_of
from doppel.bus.settle import Origin
from proto.body import Body, id_of_delivery
from proto.subjects import Consumer, subject_of

log = logging.getLogger(__name__)

B = TypeVar("B", bound=Body)
PULL_S: Final = 5.0  # a pull dies with the server: resume within this
BEATS_PER_ACK_WAIT: Final = 4


@dataclass(frozen=True)
class Delivery:
    """What a handler may know of the message's way here."""

    origin: Origin
    ack_wait_s: float
    raw: Msg | None = field(repr=False, default=None)

    @property
    def stored_at(self) -> datetime:
        """When JetStream took it (UTC): the same on each redelivery."""
        return self.origin.stored_at

    @property
    def id(self) -> UUID:
        """The id of a message that brings none."""
        return id_of_delivery(self.origin.stream, self.origin.sequence)

    @contextlib.asynccontextmanager
    async def heartbeat(self) -> AsyncGenerator[None]:
        """Keep the message ours for as long as the block runs."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self.ack_wait_s / BEATS_PER_ACK_WAIT)
                if self.raw is not None:
                    try:
                        await self.raw.in_progress()
                    except nats.errors.Error as error:  # a reconnect must not end the beat
                        log.warning("heartbeat missed", extra={"error": type(error).__name__})

        async with asyncio.TaskGroup() as group:
            task = group.create_task(beat())
            try:
                yield
            finally:
                task.cancel()


Handler = Callable[[Any, Delivery], Awaitable[None]]


async def _as_it_is(message: NatsMessage) -> NatsMessage:
    """No decoding by FastStream: what the body is, its model says."""
    return message


def bind(
    broker: NatsBroker,
    consumer: Consumer,
    handlers: dict[str, Handler],
    *,
    loops: int | None = None,
    ack_wait_s: float | None = None,
) -> None:
    """Serve a durable with one handler per subject.

    Several subscribers on one durable, each one at a time: nothing is prefetched that nobody heart-beats.
    """
    stream = JStream(consumer.stream, declare=False)
    wait_s = ack_wait_s or consumer.ack_wait_s

    async def serve(message: NatsMessage) -> None:
        subject = subject_of(message.raw_message.subject)
        if subject is None or subject.name not in handlers:
            return  # a durable that is wider than its service: nothing for us
        delivery = Delivery(Origin.of(message.raw_message), wait_s, message.raw_message)
        body = subject.body.model_validate_json(message.raw_message.data)
        if "request_id" in type(body).model_fields and getattr(body, "request_id", None) is None:
            body = body.model_copy(update={"request_id": delivery.id})
        await handlers[subject.name](body, delivery)

    for number in range(loops or consumer.loops):
        broker.subscriber(
            consumer.subjects[0],
            stream=stream,
            durable=consumer.durable,
            pull_sub=PullSub(timeout=PULL_S),
            inbox_prefix=f"{inbox_of(consumer.service)}.".encode(),  # the broker's own does not reach its subscribers
            ack_policy=AckPolicy.MANUAL,
            decoder=_as_it_is,
            no_reply=True,
            include_in_schema=number == 0,
        )(serve)
