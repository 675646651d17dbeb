"""What is done again and again until SIGTERM."""

import logging
from collections.abc import Awaitable, Callable

from doppel.lifecycle import Lifecycle
from doppel.transient import is_transient

log = logging.getLogger(__name__)


async def repeat(
    lifecycle: Lifecycle, what: str, step: Callable[[], Awaitable[object]], every_s: float
) -> None:
    """Do it again and again until SIGTERM. What goes wrong is said and tried again: the rows are still there."""
    while not await lifecycle.pause(every_s):
        try:
            await step()
        except Exception as error:
            level = logging.WARNING if is_transient(error) else logging.ERROR
            log.log(
                level, "sweep failed", extra={"sweep": what, "error": type(error).__name__}, exc_info=error
            )
