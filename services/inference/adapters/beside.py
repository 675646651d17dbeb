"""Do something beside a block of code: nobody waits for it before the block, and it never outlives it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `work` beside the block; the block's end waits for it, unless the block fails: then it is cancelled.

    What the block raises leaves as it is, not wrapped in a group.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        except Exception as error:  # noqa: BLE001  raised below, since the group would wrap it
            failure = error
            task.cancel()
    if failure is not None:
        raise failure
