"""`doppel bus apply`: make the streams and durables of `proto.subjects`, or bring them up to date. Idempotent."""

import logging
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError

from doppel.bus.broker import jetstream_of, open_client
from doppel.settings import BusSettings
from proto.subjects import (
    CONSUMERS,
    DUPLICATE_WINDOW_S,
    MAX_MESSAGE_BYTES,
    MAX_WAITING,
    STREAMS,
    Consumer,
    Stream,
)

log = logging.getLogger(__name__)

NAME_IN_USE: Final = 10058


def stream_config(stream: Stream) -> StreamConfig:
    """What JetStream is asked for."""
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.work_queue else RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW if stream.work_queue else DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=stream.max_age_s,
        max_bytes=stream.max_bytes,
        max_msgs=stream.max_messages,
        max_msg_size=MAX_MESSAGE_BYTES if stream.work_queue else -1,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=not stream.work_queue,
    )


def consumer_config(consumer: Consumer, ack_wait_s: float | None) -> ConsumerConfig:
    """What its durable is asked for. `ack_wait_s` overrides the table (short in tests)."""
    return ConsumerConfig(
        durable_name=consumer.durable,
        deliver_policy=DeliverPolicy.NEW if consumer.deliver_new else DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s or consumer.ack_wait_s,
        max_ack_pending=consumer.max_ack_pending,
        max_deliver=consumer.max_deliver,
        max_waiting=MAX_WAITING,
        filter_subjects=list(consumer.subjects),
    )


async def apply(settings: BusSettings) -> None:
    """Connect as ops and provision. Raises nats errors."""
    client = await open_client(settings)
    try:
        jetstream = jetstream_of(client, 10)
        for stream in STREAMS:
            await _apply_stream(jetstream, stream)
        for consumer in CONSUMERS:
            await jetstream.add_consumer(consumer.stream, consumer_config(consumer, settings.ack_wait_s))  # pyright: ignore[reportUnknownMemberType]
    finally:
        await client.close()
    log.info("bus provisioned", extra={"streams": len(STREAMS), "durables": len(CONSUMERS)})


async def _apply_stream(jetstream: JetStreamContext, stream: Stream) -> None:
    config = stream_config(stream)
    try:
        await jetstream.add_stream(config)  # pyright: ignore[reportUnknownMemberType]
    except BadRequestError as error:
        if error.err_code != NAME_IN_USE:
            raise
        await jetstream.update_stream(config)  # pyright: ignore[reportUnknownMemberType]
