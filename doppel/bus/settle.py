"""The one place where a message is settled: ack, return, park, or leave alone. Handlers never do it.

The rules are those of `proto.errors`; the traps behind them: FastStream's own policies destroy a message on a
transient error or return it in a hot loop, and its error log prints bodies. Nothing leaves this middleware raised
but cancellation, so that log never runs.
"""

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from faststream import BaseMiddleware, StreamMessage
from faststream.nats.message import NatsMessage
from nats.aio.msg import Msg
from pydantic import ValidationError

from doppel.bus import names
from doppel.bus.publish import Bus
from doppel.telemetry import stack_of
from doppel.transient import is_transient
from proto.body import Body, ErrorInfo, id_of_delivery
from proto.errors import Crashed, DoppelError, LeftAlone, PermanentError, Refusal, TransientError, Undecodable
from proto.subjects import CONSUMERS, DEAD_PREFIX, GENERATE_RESULT, RESULT_OF, Consumer, command_of
from proto.train import RunState, TrainResult, run_id_of

log = logging.getLogger(__name__)

BUG_DELIVERIES: Final = 5  # an error nobody listed is our bug: parked at the fifth delivery
MAX_DELAY_S: Final = 60.0


@dataclass(frozen=True)
class Origin:
    """Where a message stands: its place in the stream, how often it came, when it was stored."""

    stream: str
    durable: str
    sequence: int
    deliveries: int
    stored_at: datetime

    @classmethod
    def of(cls, raw: Msg) -> "Origin":
        """Read the ack subject's metadata. Raises nats' NotJSMessageError for a core message."""
        data = raw.metadata
        return cls(
            data.stream,
            data.consumer,
            data.sequence.stream,
            data.num_delivered or 1,
            data.timestamp.astimezone(UTC),
        )

    @property
    def consumer(self) -> Consumer | None:
        """Its durable, as provisioned."""
        return next((c for c in CONSUMERS if (c.stream, c.durable) == (self.stream, self.durable)), None)


class Settle(BaseMiddleware[Any, Any]):
    """Settle every message last; subscribers use ``ack_policy=AckPolicy.MANUAL``."""

    bus: Bus  # set by the factory below: FastStream builds one instance per message

    async def consume_scope(self, call_next: Any, msg: StreamMessage[Any]) -> None:
        """Run the handler, then ack, return or park."""
        message = cast("NatsMessage", msg)
        origin = Origin.of(message.raw_message)
        try:
            _refuse_the_last_delivery(origin)
            await call_next(msg)
        except asyncio.CancelledError:  # shutdown: hand over now
            await message.nack()
            raise
        except Exception as error:  # noqa: BLE001  the project's one broad catch: nothing loops for ever
            await self._settle_error(message, origin, _unwrapped(error))
        else:
            await message.ack()

    async def _settle_error(self, message: NatsMessage, origin: Origin, error: BaseException) -> None:
        if isinstance(error, LeftAlone):
            _note("left alone", message, origin, error)
        elif isinstance(error, Refusal):
            _note("refused", message, origin, error)
            await self._answer(message, origin, error.info())
            await message.ack()
        elif isinstance(error, ValidationError):  # the body was not ours
            await self._park(message, origin, Undecodable(_places(error)))
        elif isinstance(error, PermanentError):
            await self._park(message, origin, error)
        else:
            await self._give_back_or_park(message, origin, error)

    async def _give_back_or_park(self, message: NatsMessage, origin: Origin, error: BaseException) -> None:
        age_s = (datetime.now(UTC) - origin.stored_at).total_seconds()
        keep_s = origin.consumer.keep_trying_s if origin.consumer else 0
        transient = is_transient(error)
        if (transient and age_s < keep_s) or (not transient and origin.deliveries < BUG_DELIVERIES):
            asked = error.delay_s if isinstance(error, TransientError) else None
            delay_s = asked if asked is not None else min(MAX_DELAY_S, 2.0 ** min(origin.deliveries, 6))
            _note("returned", message, origin, error)
            await message.nack(delay=delay_s)
            return
        if not transient:
            log.error(
                "a bug, parked", extra={"subject": message.raw_message.subject, "stack": stack_of(error)}
            )
        await self._park(message, origin, error)

    async def _park(self, message: NatsMessage, origin: Origin, error: BaseException) -> None:
        """Bytes to ``dead.<subject>``, a typed result, then term. If the bus refuses, the message stays as it is."""
        raw = message.raw_message
        info = error.info() if isinstance(error, DoppelError) else ErrorInfo(code="internal", message=_SORRY)
        await self.bus.publish_bytes(
            DEAD_PREFIX + raw.subject,
            raw.data,
            "DEAD",
            f"dead-{origin.stream}-{origin.sequence}",
            headers={
                names.DEAD_CODE: info.code,
                names.DEAD_REASON: info.message.replace("\n", " ").encode("ascii", "replace").decode(),
                names.DEAD_STACK: hashlib.sha256(stack_of(error).encode()).hexdigest()[:12],
                names.DEAD_DELIVERIES: str(origin.deliveries),
                names.DEAD_STREAM: origin.stream,
                names.DEAD_SEQUENCE: str(origin.sequence),
            },
        )
        await self._answer(message, origin, info)
        await message.reject()
        _note("parked", message, origin, error)

    async def _answer(self, message: NatsMessage, origin: Origin, info: ErrorInfo) -> None:
        """Publish the typed result, if the command has one and its body says whose it is."""
        command = command_of(message.raw_message.subject)
        subject = RESULT_OF.get(command or "")
        if subject is None:
            return
        result = result_for(subject.body, message.raw_message.data, origin, info)
        if result is not None:
            request_id = getattr(result, "request_id", "")
            outcome = names.ONE_OUTCOME if subject is GENERATE_RESULT else info.code
            await self.bus.publish(subject, result, key=f"{request_id}/{outcome}")


def _refuse_the_last_delivery(origin: Origin) -> None:
    """A message that is about to run out of deliveries would rot in the stream, unseen: park it instead."""
    consumer = origin.consumer
    if consumer and 1 < consumer.max_deliver <= origin.deliveries:
        raise Crashed


def _unwrapped(error: BaseException) -> BaseException:
    """A task group wraps what its task raised; a group of one is that one."""
    while isinstance(error, BaseExceptionGroup):
        members = cast("tuple[BaseException, ...]", error.exceptions)
        if len(members) != 1:
            break
        error = members[0]
    return cast("BaseException", error)


_SORRY: Final = "Something went wrong on our side. An operator finds it with `doppel dead list`."


def result_for(model: type[Body], data: bytes, origin: Origin, info: ErrorInfo) -> Body | None:
    """The typed result of a request that came to nothing; None where its body does not say whose it was."""
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(request, dict):
        return None
    fields = {k: v for k, v in cast("dict[str, Any]", request).items() if k in _ECHOED}
    fields.setdefault("request_id", str(id_of_delivery(origin.stream, origin.sequence)))
    fields["error"] = info.model_dump()
    try:
        if model is TrainResult:
            request_id = TrainResult.model_validate(fields | _NO_RUN).request_id
            fields["run_id"] = run_id_of(request_id, str(fields.get("user_id")))
            fields["state"] = RunState.CANCELLED if info.code == "cancelled" else RunState.FAILED
        return model.model_validate(fields)
    except ValidationError:
        return None


_ECHOED: Final = frozenset(
    ("request_id", "team_id", "user_id", "action", "source", "then_train", "overrides", "requested_at")
)
_NO_RUN: Final = {"run_id": "00000000-0000-0000-0000-000000000000", "state": RunState.FAILED}


def _places(error: ValidationError) -> str:
    """Which fields, and what is wrong with them; never what stood there."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['type']}" for e in found[:3])


def _note(what: str, message: NatsMessage, origin: Origin, error: BaseException) -> None:
    log.warning(
        "message %s",
        what,
        extra={
            "subject": message.raw_message.subject,
            "stream": origin.stream,
            "sequence": origin.sequence,
            "deliveries": origin.deliveries,
            "error": type(error).__name__,
            "code": getattr(error, "code", None),
        },
    )


def settle_with(bus: Bus) -> type[Settle]:
    """The middleware class with its bus."""
    return type("Settle", (Settle,), {"bus": bus})
