"""Every way a message can end, on a real bus."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from nats.js import JetStreamContext

from doppel.bus import Bus, Delivery, bind, connect
from doppel.lifecycle import Lifecycle
from doppel.settings import TelemetrySettings
from proto.errors import AdapterCorrupt, LeaseLost, NoConsent, TransientError
from proto.subjects import TRAIN_REQUEST, consumer
from proto.train import TrainRequest
from tests.support.servers import TestServers
from tests.support.waiting import eventually

Handler = Callable[[TrainRequest, Delivery], Awaitable[None]]


@contextlib.asynccontextmanager
async def worker(servers: TestServers, handler: Handler, **more: Any) -> AsyncGenerator[Bus]:
    """One replica of a service that does nothing but `handler`."""
    settings = servers.bus.model_copy(update={"graceful_timeout_s": 0.5, **more})
    handlers = {"train.request": handler}
    async with (
        Lifecycle("trainer", TelemetrySettings(health_port=0)) as life,
        connect(life, settings, durables_of="trainer") as connection,
    ):
        bind(connection.broker, consumer("TRAIN_REQUEST", "trainer"), handlers, ack_wait_s=3)
        await connection.broker.start()
        yield connection.bus


async def ask(bus: Bus, user_id: str = "U1") -> TrainRequest:
    request = TrainRequest(request_id=uuid4(), team_id="T1", user_id=user_id)
    await bus.publish(TRAIN_REQUEST, request, key=str(request.request_id))
    return request


async def stored(jetstream: JetStreamContext, stream: str) -> list[Any]:
    state = (await jetstream.stream_info(stream)).state
    return [
        await jetstream.get_msg(stream, n)
        for n in range(state.first_seq, state.last_seq + 1)
        if state.messages
    ]


async def empty(jetstream: JetStreamContext) -> bool:
    return (await jetstream.stream_info("TRAIN_REQUEST")).state.messages == 0


async def test_success_leaves_nothing_behind(clean: TestServers) -> None:
    seen: list[TrainRequest] = []

    async def handler(request: TrainRequest, _: Delivery) -> None:
        seen.append(request)

    async with worker(clean, handler) as bus:
        request = await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
    assert seen == [request]
    assert (await count(clean, "DEAD"), await count(clean, "FACTS")) == (0, 0)


async def count(servers: TestServers, stream: str) -> int:
    from doppel.bus.broker import jetstream_of, open_client

    client = await open_client(servers.bus)
    try:
        return (await jetstream_of(client).stream_info(stream)).state.messages
    finally:
        await client.close()


async def test_a_refusal_is_answered_and_not_parked(clean: TestServers) -> None:
    async def handler(request: TrainRequest, _: Delivery) -> None:
        raise NoConsent(request.user_id)

    async with worker(clean, handler) as bus:
        request = await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
        (result,) = await stored(bus.jetstream, "FACTS")
    body = json.loads(result.data)
    assert (body["request_id"], body["error"]["code"]) == (str(request.request_id), "no_consent")
    assert await count(clean, "DEAD") == 0


async def test_a_refusal_inside_a_task_group_is_still_a_refusal(clean: TestServers) -> None:
    async def refuse() -> None:
        raise NoConsent("U1")

    async def handler(request: TrainRequest, _: Delivery) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(refuse())

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
        assert json.loads((await stored(bus.jetstream, "FACTS"))[0].data)["error"]["code"] == "no_consent"


@pytest.mark.parametrize(
    "body", [b"{oops", b"\xff\xfe", b"[" * 3000, b"", b'{"team_id": "../../x", "user_id": "U1"}']
)
async def test_what_is_no_message_is_parked_once_with_its_bytes(clean: TestServers, body: bytes) -> None:
    async def handler(request: TrainRequest, _: Delivery) -> None:
        pytest.fail("the handler saw it")

    async with worker(clean, handler) as bus:
        await bus.publish_bytes("train.request", body, "TRAIN_REQUEST", f"x-{uuid4()}")
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
        (dead,) = await stored(bus.jetstream, "DEAD")
    assert dead.subject == "dead.train.request"
    assert (dead.data or b"") == body
    assert dead.headers["doppel-error-code"] == "undecodable"


async def test_a_permanent_error_is_parked_and_answered(clean: TestServers) -> None:
    async def handler(request: TrainRequest, _: Delivery) -> None:
        raise AdapterCorrupt("adapter_model.safetensors")

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
        (dead,) = await stored(bus.jetstream, "DEAD")
        (result,) = await stored(bus.jetstream, "FACTS")
    assert dead.headers["doppel-error-code"] == "adapter_corrupt"
    assert json.loads(result.data)["error"]["code"] == "adapter_corrupt"


async def test_what_is_away_comes_back_and_is_served(clean: TestServers) -> None:
    tries: list[int] = []

    async def handler(request: TrainRequest, delivery: Delivery) -> None:
        tries.append(delivery.origin.deliveries)
        if len(tries) < 7:  # more often than a bug may
            raise TransientError("away", delay_s=0.05)

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
    assert len(tries) == 7
    assert await count(clean, "DEAD") == 0


async def test_a_bug_is_parked_at_the_fifth_delivery(clean: TestServers) -> None:
    tries: list[int] = []

    async def handler(request: TrainRequest, delivery: Delivery) -> None:
        tries.append(delivery.origin.deliveries)
        if len(tries) < 5:
            raise TransientError("quick", delay_s=0.01)
        raise KeyError("what Ada wrote")

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
        (dead,) = await stored(bus.jetstream, "DEAD")
    assert dead.headers["doppel-error-code"] == "internal"
    assert "Ada" not in str(dead.headers)


async def test_a_lost_lease_is_left_alone(clean: TestServers) -> None:
    tries: list[int] = []

    async def handler(request: TrainRequest, _: Delivery) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise LeaseLost("run")

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: empty(bus.jetstream), what="it came back after its ack wait", within_s=20)
    assert len(tries) == 2


async def test_a_long_handler_keeps_its_message_by_its_heartbeat(clean: TestServers) -> None:
    tries: list[int] = []
    done = asyncio.Event()

    async def handler(request: TrainRequest, delivery: Delivery) -> None:
        tries.append(1)
        async with delivery.heartbeat():
            await done.wait()

    async with worker(clean, handler) as bus:
        await ask(bus)
        await eventually(lambda: _true(bool(tries)), what="it began")
        async with asyncio.timeout(20):
            await asyncio.sleep(7)
        done.set()
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
    assert tries == [1]


async def _true(value: bool) -> bool:
    return value


async def test_a_stop_hands_the_message_over_at_once(clean: TestServers) -> None:
    began = asyncio.Event()
    second: list[int] = []

    async def stuck(request: TrainRequest, delivery: Delivery) -> None:
        began.set()
        await asyncio.Event().wait()

    async def served(request: TrainRequest, _: Delivery) -> None:
        second.append(1)

    async with worker(clean, stuck) as bus:
        await ask(bus)
        async with asyncio.timeout(10):
            await began.wait()
    async with worker(clean, served) as bus:
        await eventually(lambda: empty(bus.jetstream), what="the other replica served it", within_s=2.5)
    assert second == [1]


async def test_an_id_that_is_absent_is_derived_from_its_place(clean: TestServers) -> None:
    seen: list[TrainRequest] = []

    async def handler(request: TrainRequest, delivery: Delivery) -> None:
        assert request.request_id == delivery.id
        seen.append(request)
        if len(seen) == 1:
            raise TransientError("again", delay_s=0.01)

    async with worker(clean, handler) as bus:
        await bus.publish_bytes(
            "train.request", b'{"team_id":"T1","user_id":"U1"}', "TRAIN_REQUEST", f"x-{uuid4()}"
        )
        await eventually(lambda: empty(bus.jetstream), what="the queue is empty")
    assert len({request.request_id for request in seen}) == 1
