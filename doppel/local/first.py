"""Wait for the first of several."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast


async def first_of(*works: Coroutine[Any, Any, Any]) -> int:
    """Run them together until one ends; cancel the others and return its place. Raises what it raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise cast("tuple[BaseException, ...]", errors.exceptions)[0] from None
    return next(place for place, task in enumerate(tasks) if task in done)
