"""What a reader of tokens sees, and that nobody who reads slowly holds up the text."""

import asyncio
from typing import Any, cast
from uuid import UUID

import nats.errors
import pytest

from proto.body import Body
from services.inference.adapters.beside import beside
from services.inference.adapters.tokens import token_stream

REQUEST = UUID(int=4)


class Away:
    """A bus that takes nothing, or never ends taking it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.tried: list[Body] = []

    async def publish_core(self, subject: str, body: Body) -> None:
        self.tried.append(body)
        if self.error is not None:
            raise self.error


async def test_the_first_piece_leaves_at_once_and_the_last_says_so() -> None:
    bus = Away()
    async with token_stream(bus, REQUEST) as on_text:
        for piece in ("a", "b", "c"):
            on_text(piece)
            await asyncio.sleep(0)
    deltas = cast("list[Any]", bus.tried)
    assert deltas[0].text == "a"
    assert "".join(delta.text for delta in deltas) == "abc"
    assert [delta.seq for delta in deltas] == list(range(len(deltas)))
    assert [delta.done for delta in deltas] == [False] * (len(deltas) - 1) + [True]


@pytest.mark.parametrize("error", [nats.errors.OutboundBufferLimitError(), ConnectionResetError()])
async def test_pieces_that_cant_be_sent_are_lost_and_the_text_goes_on(error: Exception) -> None:
    bus = Away(error)
    async with token_stream(bus, REQUEST) as on_text:
        on_text("a")
    assert bus.tried


async def test_what_fails_while_streaming_leaves_as_it_is_and_ends_the_stream() -> None:
    bus = Away()

    async def fails() -> None:
        async with token_stream(bus, REQUEST) as on_text:
            on_text("a")
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    assert not any(cast("Any", delta).done for delta in bus.tried)


async def test_work_beside_a_block_ends_with_it() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    async with beside(work()):
        assert not done.is_set()
    assert done.is_set()


async def test_work_beside_a_cancelled_block_is_cancelled() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def block() -> None:
        async with beside(work()):
            await asyncio.sleep(30)

    task = asyncio.ensure_future(block())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
