"""Reading calls to Slack under the workspace's shared budget: paced, repeated where that is harmless, sorted errors."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from slack_sdk.web.async_client import AsyncWebClient

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown, sorted_errors
from services.scraper.core.budget import RECOVERY, SLOW_MODE_S, interval_after_429, page_size

log = logging.getLogger(__name__)

TRIES: Final = 5
LONGEST_PAUSE_S: Final = 30.0
SLOW_INTERVAL_S: Final = 60.0


class Budget(Protocol):
    """The rate budget of one workspace, shared by all replicas."""

    async def reserve(self, team_id: str, method: str, recovery: float) -> tuple[float, float]:
        """Take the next slot: seconds until it, and the interval in force."""
        ...

    async def slow_down(self, team_id: str, method: str, retry_after_s: float, interval_s: float) -> None:
        """Slack asked to wait."""
        ...


Fetch = Callable[[], Awaitable[Any]]


class SlackCalls:
    """One workspace's calls. A read may be repeated freely; a refusal (`SlackRefused`) is raised at once."""

    def __init__(self, client: AsyncWebClient, team_id: str, budget: Budget, at_once: int) -> None:
        self.client = client
        self._team_id = team_id
        self._budget = budget
        self._slots = asyncio.Semaphore(at_once)
        self._intervals: dict[str, float] = {}

    def page_size(self, method: str) -> int:
        """How much to ask for at once."""
        return page_size(self._intervals.get(method, 0.0))

    async def call(self, method: str, fetch: Fetch) -> dict[str, Any]:
        """Call until it answers. Raises SlackRefused; SlackAway or SlackUnknown once every try is spent."""
        failures = 0
        while True:
            wait_s, interval_s = await self._budget.reserve(self._team_id, method, RECOVERY)
            self._intervals[method] = interval_s
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            try:
                async with self._slots:
                    with sorted_errors():
                        answer = await fetch()
                return _object(answer.data)
            except SlackAway as error:
                if error.delay_s is not None:
                    await self._wait_as_asked(method, interval_s, error.delay_s)
                    continue
                failures += 1
                await self._pause(method, failures, error)
            except SlackUnknown as error:
                failures += 1
                await self._pause(method, failures, error)

    async def found_slow(self, method: str) -> None:
        """Slack gives 15 messages where 200 were asked for: the slow mode of distributed apps."""
        if self._intervals.get(method, 0.0) < SLOW_MODE_S:
            log.warning("slow mode", extra={"team_id": self._team_id, "method": method})
            self._intervals[method] = SLOW_INTERVAL_S
            await self._budget.slow_down(self._team_id, method, SLOW_INTERVAL_S, SLOW_INTERVAL_S)

    async def _wait_as_asked(self, method: str, interval_s: float, retry_after_s: float) -> None:
        learned_s = interval_after_429(method, interval_s, retry_after_s)
        log.info(
            "rate limited",
            extra={"team_id": self._team_id, "method": method, "retry_after_s": retry_after_s},
        )
        await self._budget.slow_down(self._team_id, method, retry_after_s, learned_s)

    async def _pause(self, method: str, failures: int, error: SlackAway | SlackUnknown) -> None:
        if failures >= TRIES:
            raise error
        log.info("slack call again", extra={"method": method, "code": error.code, "failures": failures})
        await asyncio.sleep(random.uniform(0.1, min(LONGEST_PAUSE_S, 0.3 * 2**failures)))  # noqa: S311  jitter


def _object(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SlackUnknown("Slack's answer can't be read.")
    return data


def next_cursor(answer: dict[str, Any]) -> str:
    """The cursor of the next page; empty at the end."""
    metadata = answer.get("response_metadata")
    found = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def is_skippable(error: SlackRefused) -> bool:
    """It concerns one channel only; the rest of the workspace can be read."""
    return error.reason in _CHANNEL_ONLY


_CHANNEL_ONLY: Final = frozenset(
    (
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "method_not_supported_for_channel_type",
        "channel_is_limited_access",
        "too_many_members",
        "restricted_action",
        "thread_not_found",
    )
)
