"""Read facts from a stream by their place in it: no consumer to lose, so a restart of the bus costs a moment only."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from doppel.bus import Bus
from doppel.bus.broker import UNKNOWN, is_unknown, jetstream_of, open_client
from doppel.cli.terminal import Failure
from doppel.settings import BusSettings
from proto.body import Body
from proto.subjects import subject_of

ASK_EVERY_S: Final = 0.2


@dataclass
class FactReader:
    """Everything that a stream takes after the moment of opening, in order, each body validated."""

    jetstream: JetStreamContext
    stream: str
    pattern: str
    next_sequence: int

    @classmethod
    async def open(cls, jetstream: JetStreamContext, stream: str, pattern: str) -> "FactReader":
        """Begin after what is there now."""
        state = (await jetstream.stream_info(stream)).state
        return cls(jetstream, stream, pattern, state.last_seq + 1)

    async def poll(self) -> Body | None:
        """The next body, or None where there is none yet."""
        try:
            message = await self._next()
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, TimeoutError, nats.js.errors.ServiceUnavailableError):
            return None  # the bus is away; ask again
        self.next_sequence = (message.seq or self.next_sequence) + 1
        subject = subject_of(message.subject or "")
        if subject is None:
            return None
        return subject.body.model_validate_json(message.data or b"")

    async def _next(self) -> RawStreamMsg:
        return await self.jetstream.get_msg(
            self.stream, seq=self.next_sequence, subject=self.pattern, next=True
        )

    async def follow(self, request_id: UUID, *, timeout_s: float) -> AsyncGenerator[Body]:
        """Bodies about one request or run, for as long as the caller reads. Raises Failure past `timeout_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while loop.time() < deadline:
            body = await self.poll()
            if body is None:
                await asyncio.sleep(ASK_EVERY_S)
            elif request_id in (getattr(body, "request_id", None), getattr(body, "run_id", None)):
                yield body
        raise Failure(
            f"No outcome within {timeout_s:.0f} s. It goes on; `doppel status` shows how far it is.",
            code="timeout",
        )


@contextlib.asynccontextmanager
async def open_bus(settings: BusSettings) -> AsyncGenerator[Bus]:
    """A connection for publishing and reading. Raises Failure where nobody answers."""
    try:
        async with asyncio.timeout(5):
            client = await open_client(settings)
    except (OSError, TimeoutError, nats.errors.Error) as error:
        if is_unknown(error):
            raise Failure(UNKNOWN, code="unauthorized") from error
        place = settings.nats_url.rpartition("@")[2].removeprefix("nats://")
        sentence = f"The bus does not answer at {place}. Start the stack with `doppel up`."
        raise Failure(sentence, code="unavailable") from error
    try:
        yield Bus(client, jetstream_of(client))
    finally:
        await client.close()
