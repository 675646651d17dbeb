"""A foreign NATS client: publishes by hand, reads streams by sequence, knows nothing of doppel's code."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.support.waiting import eventually


@dataclass(frozen=True)
class BusReader:
    """What ops has: a NATS client and the README."""

    client: Client
    jetstream: JetStreamContext

    async def publish(self, subject: str, body: dict[str, Any] | bytes) -> int:
        """Publish a command by hand; returns its place in the stream."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return (
            await self.jetstream.publish(subject, data, headers={"Nats-Msg-Id": f"hand-{uuid.uuid4()}"})
        ).seq

    async def stored(self, stream: str, subject: str | None = None, since: int = 0) -> list[Any]:
        """Every message of a stream, oldest first."""
        state = (await self.jetstream.stream_info(stream)).state
        found: list[Any] = []
        for sequence in range(max(state.first_seq, since + 1), state.last_seq + 1):
            try:
                message = await self.jetstream.get_msg(stream, sequence)
            except nats.js.errors.NotFoundError:
                continue
            if subject is None or message.subject == subject:
                found.append(message)
        return found

    async def last_sequence(self, stream: str) -> int:
        """Where a stream ends now."""
        return (await self.jetstream.stream_info(stream)).state.last_seq

    async def facts(self, subject: str, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The bodies of facts with these fields."""
        stream = "ANSWERS" if subject.startswith("generate") else "FACTS"
        bodies = [json.loads(message.data) for message in await self.stored(stream, subject, since)]
        return [body for body in bodies if all(body.get(k) == v for k, v in fields.items())]

    async def fact(
        self, subject: str, since: int = 0, within_s: float = 120, **fields: Any
    ) -> dict[str, Any]:
        """Wait for one."""

        async def asked() -> dict[str, Any] | None:
            found = await self.facts(subject, since, **fields)
            return found[-1] if found else None

        return await eventually(asked, what=f"{subject} {fields}", within_s=within_s)

    async def idle(self, stream: str, durable: str) -> bool:
        """Nothing waits and nothing is under way."""
        info = await self.jetstream.consumer_info(stream, durable)
        return not info.num_pending and not info.num_ack_pending
