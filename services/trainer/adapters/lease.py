"""Hold a run while it is worked on: renew in the background, tell the child, stop the work when it is lost."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

import asyncpg

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled
    asyncpg.InsufficientResourcesError,
)


@contextlib.asynccontextmanager
async def kept(
    renew: Callable[[], Awaitable[None]],
    *,
    every_s: float,
    watchers: tuple[Callable[[], Awaitable[None]], ...],
) -> AsyncGenerator[None]:
    """Call `renew` every `every_s` while the block runs; `watchers` run beside it.

    What `renew` or a watcher raises (LeaseLost, NoConsent, Cancelled) cancels the block and leaves it as itself.
    While the database is away the block goes on: nobody can take the run over meanwhile.
    """

    async def keep() -> None:
        wait_s = every_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                await renew()
                wait_s = every_s
            except AWAY as error:
                log.warning("lease not renewed", extra={"error": type(error).__name__})
                wait_s = min(RETRY_S, every_s)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep()), *(group.create_task(_run(watcher)) for watcher in watchers)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None


async def _run(watcher: Callable[[], Awaitable[None]]) -> None:
    await watcher()


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group."""
    leaf: BaseException = errors
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
