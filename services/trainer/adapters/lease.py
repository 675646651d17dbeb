"""Work beside whatever may end it: the lease that must be renewed, and every reason to stop."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from doppel.transient import is_transient

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
Watcher = Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def watched(*watchers: Watcher) -> AsyncGenerator[None]:
    """Run `watchers` beside the block. What one of them raises cancels the block and leaves it as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run(watcher)) for watcher in watchers]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


@contextlib.asynccontextmanager
async def kept(
    renew: Callable[[], Awaitable[None]], *, every_s: float, watchers: tuple[Watcher, ...]
) -> AsyncGenerator[None]:
    """Call `renew` every `every_s` while the block runs; what it raises (LeaseLost, NoConsent) ends the block.

    While the database is away the block goes on: nobody can take the run over meanwhile.
    """

    async def keep() -> None:
        wait_s = every_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                await renew()
                wait_s = every_s
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("lease not renewed", extra={"error": type(error).__name__})
                wait_s = min(RETRY_S, every_s)

    async with watched(keep, *watchers):
        yield


async def _run(watcher: Watcher) -> None:
    await watcher()


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group."""
    leaf: BaseException = errors
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
