"""Waiting through a short outage of our own stores, so that what Slack has answered is not asked for again."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from doppel.transient import is_transient

log = logging.getLogger(__name__)

T = TypeVar("T")
WITHIN_S: Final = 120.0
LONGEST_PAUSE_S: Final = 5.0


async def patiently(attempt: Callable[[], Awaitable[T]], what: str, within_s: float = WITHIN_S) -> T:
    """Try an idempotent step again while its error passes by itself; after `within_s` the error stands."""
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + within_s, 0
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not is_transient(error) or loop.time() > until:
                raise
            if tries == 0:
                log.warning("waiting for %s", what, extra={"error": type(error).__name__})
        tries += 1
        await asyncio.sleep(random.uniform(0.05, min(LONGEST_PAUSE_S, 0.1 * 2**tries)))  # noqa: S311  jitter
