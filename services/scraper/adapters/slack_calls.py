"""Reading calls to Slack under the workspace's shared budget: paced, repeated where that is harmless, sorted errors."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from slack_sdk.web.async_client import AsyncWebClient

from doppel.patience import patiently
from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown, sorted_errors
from services.scraper.adapters.slack_gauges import SlackGauges
from services.scraper.core.budget import (
    SLOW_PAGE,
    SLOWED,
    Pace,
    floor_s,
    interval_after_429,
    is_slow,
    page_size,
    shows_slow_mode,
    slow_s,
)

log = logging.getLogger(__name__)

TRIES: Final = 6
LONGEST_PAUSE_S: Final = 10.0
QUICK_S: Final = 0.2  # never an interval of Slack's own clock
QUICK_AHEAD: Final = 3
SURE: Final = 2
MANY: Final = 8  # calls that wait for their slot


class Budget(Protocol):
    """The rate budget of one workspace, shared by all replicas."""

    async def reserve(self, team_id: str, method: str, pace: Pace) -> tuple[float, float]:
        """Take the next slot: seconds until it, and the interval in force."""
        ...

    async def slow_down(self, team_id: str, method: str, wait_s: float, interval_s: float) -> None:
        """Slack asked to wait."""
        ...

    async def speed_up(self, team_id: str, method: str, interval_s: float) -> None:
        """It is not as slow as it seemed."""
        ...


Fetch = Callable[[AsyncWebClient], Awaitable[Any]]
Renew = Callable[[SlackRefused], Awaitable[AsyncWebClient]]


@dataclass
class _Lane:
    """One method: who goes next, how many are under way, how fast it goes.

    The gates are first come, first served, and held while a slot is waited for: so only one slot is ever reserved
    ahead, and a killed process wastes no more than that. On a fast clock, where reserving may take longer than the
    interval, the next one reserves meanwhile.
    """

    turn: asyncio.Lock
    quick_turn: asyncio.Semaphore
    under_way: asyncio.Semaphore
    interval_s: float
    said: bool = False  # that it is slow


class SlackCalls:
    """One workspace's calls. A read may be repeated freely; a refusal (`SlackRefused`) is raised at once.

    `renew` gives a client with a newer token when Slack says that this one has run out, or raises.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        team_id: str,
        budget: Budget,
        gauges: SlackGauges,
        renew: Renew,
        on_call: Callable[[], None],
        *,
        at_once: int,
        scale: float = 1.0,
    ) -> None:
        self._client = client
        self._team_id = team_id
        self._budget = budget
        self._gauges = gauges
        self._renew = renew
        self._on_call = on_call
        self._at_once = at_once
        self._scale = scale
        self._lanes: dict[str, _Lane] = {}
        self._waiting = 0
        self._short_pages = 0  # of just 15, where more was asked for and there

    @property
    def is_slow(self) -> bool:
        """Slack gives this app one page a minute."""
        return any(is_slow(self._lane(method).interval_s, self._scale) for method in SLOWED)

    def page_size(self, method: str) -> int:
        """How much to ask for at once."""
        return page_size(method, slow=self._short_pages >= SURE)

    def many_wait(self) -> bool:
        """Is the budget what everything waits for?"""
        return self._waiting >= MANY

    def interval_s(self, method: str) -> float:
        """Seconds between two calls, as of now."""
        return self._lane(method).interval_s

    async def call(self, method: str, fetch: Fetch) -> dict[str, Any]:
        """Call until it answers. Raises SlackRefused; SlackAway or SlackUnknown once every try is spent."""
        failures = 0
        while True:
            lane = self._lane(method)
            client = await self._turn(method, lane)
            try:
                with sorted_errors():
                    answer = await fetch(client)
                data = _object(answer.data)
            except SlackAway as error:
                limited = error.delay_s is not None
                self._gauges.request(method, "ratelimited" if limited else "away")
                if limited:
                    await self._wait_as_asked(method, lane, error.delay_s or 0.0)
                    continue
                failures += 1
                await self._pause(method, failures, error)
            except SlackUnknown as error:
                self._gauges.request(method, "unknown")
                failures += 1
                await self._pause(method, failures, error)
            except SlackRefused as error:
                self._gauges.request(method, "refused")
                if error.reason != "token_expired" and not error.token_is_dead:
                    raise
                if client is self._client:  # nobody has renewed it meanwhile
                    self._client = await self._renew(error)
            else:
                self._gauges.request(method, "ok")
                return data
            finally:
                lane.under_way.release()

    async def page(self, method: str, limit: int, fetch: Fetch) -> dict[str, Any]:
        """Call for a page of messages, and learn from its size whether this app is in slow mode."""
        answer = await self.call(method, fetch)
        count = len(found) if isinstance(found := answer.get("messages"), list) else 0
        if shows_slow_mode(limit, count, has_more=answer.get("has_more") is True):
            await self._found_slow()
        elif count > SLOW_PAGE and self.is_slow:
            await self._found_quick()
        return answer

    def _lane(self, method: str) -> _Lane:
        if method not in self._lanes:
            self._lanes[method] = _Lane(
                asyncio.Lock(),
                asyncio.Semaphore(QUICK_AHEAD),
                asyncio.Semaphore(self._at_once),
                floor_s(method, self._scale),
            )
        return self._lanes[method]

    async def _turn(self, method: str, lane: _Lane) -> AsyncWebClient:
        """Wait for this call's slot, and count it among those under way."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            await self._slot(method, lane, loop)
        finally:
            self._waiting -= 1
        self._on_call()
        return self._client

    async def _slot(self, method: str, lane: _Lane, loop: asyncio.AbstractEventLoop) -> None:
        async with lane.quick_turn if lane.interval_s < QUICK_S else lane.turn:
            await lane.under_way.acquire()
            try:
                pace = Pace.of(method, self._scale)
                wait_s, lane.interval_s = await patiently(
                    lambda: self._budget.reserve(self._team_id, method, pace), "the budget"
                )
                if wait_s > 0:
                    began = loop.time()
                    await asyncio.sleep(wait_s)
                    self._gauges.waited(method, loop.time() - began)
            except BaseException:
                lane.under_way.release()
                raise

    async def _found_slow(self) -> None:
        """Slow down at once; ask for less once it was seen again, since one short page may be an accident."""
        self._short_pages += 1
        for method in SLOWED:
            lane = self._lane(method)
            await self._slow_down(method, lane, slow_s(self._scale), slow_s(self._scale))

    async def _found_quick(self) -> None:
        """It had looked like slow mode, but no app in it gets so large a page."""
        self._short_pages = 0
        for method in SLOWED:
            lane = self._lane(method)
            lane.said = False
            lane.interval_s = 2 * floor_s(method, self._scale)
            await patiently(
                lambda method=method, lane=lane: self._budget.speed_up(
                    self._team_id, method, lane.interval_s
                ),
                "the budget",
            )

    async def _wait_as_asked(self, method: str, lane: _Lane, retry_after_s: float) -> None:
        learned_s = interval_after_429(method, lane.interval_s, retry_after_s, self._scale)
        log.info(
            "rate limited",
            extra={"team_id": self._team_id, "method": method, "retry_after_s": retry_after_s},
        )
        await self._slow_down(method, lane, retry_after_s, learned_s)

    async def _slow_down(self, method: str, lane: _Lane, wait_s: float, interval_s: float) -> None:
        lane.interval_s = max(lane.interval_s, interval_s)
        if is_slow(lane.interval_s, self._scale) and not lane.said:
            lane.said = True
            log.warning("slow mode", extra={"team_id": self._team_id, "method": method})
        await patiently(
            lambda: self._budget.slow_down(self._team_id, method, wait_s, interval_s), "the budget"
        )

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
    )
)
