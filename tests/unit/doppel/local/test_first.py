"""Wait for the first of several."""

import asyncio

import pytest

from doppel.local.first import first_of


async def test_the_first_is_named_and_the_others_are_cancelled() -> None:
    never, cancelled = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    assert await first_of(waits(), asyncio.sleep(0)) == 1
    assert cancelled.is_set()


async def test_what_it_raises_is_raised_bare() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await first_of(asyncio.Event().wait(), fails())
