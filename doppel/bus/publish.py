"""Publish with a derived id, and believe only JetStream's ack."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Protocol

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from opentelemetry import propagate

from doppel.bus.names import MESSAGE_ID, SCHEMA
from proto.body import SCHEMA_VERSION, Body
from proto.subjects import Subject

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
TRIES: Final = 3


class Publisher(Protocol):
    """What handlers publish through."""

    async def publish(self, subject: Subject, body: Body, *, key: str) -> None:
        """Publish one message; returns once JetStream has it."""
        ...

    async def publish_core(self, subject: str, body: Body) -> None:
        """Publish on core NATS: lossy, no ack."""
        ...


@dataclass(frozen=True)
class Bus:
    """The one way out. `Nats-Msg-Id` is ``<subject>/<key>``: derived, never random, so a repeat is one message."""

    client: Client
    jetstream: JetStreamContext

    async def publish(
        self, subject: Subject, body: Body, *, key: str, timeout_s: float = TIMEOUT_S, tries: int = TRIES
    ) -> None:
        """Publish and wait for JetStream's ack; a lost ack is asked for again under the same id.

        Raises nats errors once every try is spent: stored or not is then unknown, repeat with the same key.
        """
        data = body.model_dump_json(exclude_none=True).encode()
        message_id = f"{subject.name}/{key}"
        await self.publish_bytes(
            subject.name, data, subject.stream or "", message_id, timeout_s=timeout_s, tries=tries
        )

    async def publish_bytes(
        self,
        subject: str,
        data: bytes,
        stream: str,
        message_id: str,
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
    ) -> None:
        """Publish bytes as they are (dead letters, an operator's JSON)."""
        carried = {
            "content-type": "application/json",
            SCHEMA: SCHEMA_VERSION,
            **(headers or {}),
            MESSAGE_ID: message_id,
        }
        propagate.inject(carried)
        for attempt in range(1, tries + 1):
            try:
                await self.jetstream.publish(subject, data, timeout=timeout_s, stream=stream, headers=carried)
            except (TimeoutError, nats.errors.Error, nats.js.errors.ServiceUnavailableError) as error:
                if attempt == tries or isinstance(error, nats.errors.MaxPayloadError):
                    raise
                log.warning("publish again", extra={"subject": subject, "error": type(error).__name__})
                await asyncio.sleep(0.2 * attempt)
            else:
                return

    async def publish_core(self, subject: str, body: Body) -> None:
        """Publish on core NATS: tokens and cancels, where the result carries the whole anyway."""
        headers: dict[str, str] = {}
        propagate.inject(headers)
        await self.client.publish(subject, body.model_dump_json(exclude_none=True).encode(), headers=headers)
