"""Holding one scrape: its lease is renewed, progress goes out, somebody may stop it, and in the end it is let go."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import nats.errors
import nats.js.errors

from doppel.bus import Publisher
from doppel.transient import is_transient
from proto.errors import Cancelled, LeaseLost, PermanentError, Refusal, TransientError
from proto.scrape import ScrapeProgress, ScrapeRequest
from proto.subjects import SCRAPE_PROGRESS
from services.scraper.adapters.work import Stopped, Work
from services.scraper.repository import Claim, Repository

log = logging.getLogger(__name__)

PROGRESS_S: Final = 0.5
RENEWALS_PER_TTL: Final = 3
LET_GO_S: Final = 5.0
LOOK_S: Final = 2.0


@dataclass
class Holding:
    """The scrapes that this replica holds now."""

    repository: Repository
    bus: Publisher
    ttl_s: float
    _stops: dict[UUID, list[asyncio.Event]] = field(default_factory=dict[UUID, list[asyncio.Event]])
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_leaving(self) -> bool:
        """This replica is about to end."""
        return self._leaving.is_set()

    def cancel(self, request_id: UUID) -> None:
        """Stop that scrape, if it is ours."""
        for event in self._stops.get(request_id, []):
            event.set()

    def leave(self) -> None:
        """Hand everything over: another replica goes on from the last page."""
        self._leaving.set()
        for events in self._stops.values():
            for event in events:
                event.set()

    @contextlib.asynccontextmanager
    async def hold(self, claim: Claim, request: ScrapeRequest) -> AsyncGenerator[Work]:
        """Run the block as the holder. Raises LeaseLost, Cancelled, TransientError at SIGTERM, and what it raises."""
        work, stop = Work(), asyncio.Event()
        self._stops.setdefault(claim.request_id, []).append(stop)
        try:
            async with _LetGo(self.repository, claim), asyncio.TaskGroup() as group:
                chores = [
                    group.create_task(self._renew(claim)),
                    group.create_task(self._report(claim, request, work)),
                    group.create_task(self._watch(stop)),
                    group.create_task(self._look(claim.request_id)),
                ]
                try:
                    yield work
                finally:
                    for chore in chores:
                        chore.cancel()
        finally:
            self._stops[claim.request_id].remove(stop)
            if not self._stops[claim.request_id]:
                del self._stops[claim.request_id]

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        if self.is_leaving:
            raise TransientError("This replica is ending.", delay_s=1)
        raise Cancelled

    async def _look(self, request_id: UUID) -> None:
        """Somebody's cancel may have reached another replica only: the row keeps it."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                stopped = await self.repository.is_cancelled(request_id)
            except Exception as error:
                if not is_transient(error):
                    raise
                continue  # the lease's renewal tells of the outage
            if stopped:
                raise Cancelled

    async def _renew(self, claim: Claim) -> None:
        """Renew until cancelled. Through an outage of the database the lease is ours only as long as it runs."""
        loop = asyncio.get_running_loop()
        ours_until = loop.time() + self.ttl_s
        while True:
            await asyncio.sleep(self.ttl_s / RENEWALS_PER_TTL)
            began = loop.time()
            try:
                await self.repository.renew(claim, self.ttl_s)
                ours_until = began + self.ttl_s
            except LeaseLost:
                if await self.repository.is_finished(claim):
                    return  # by us, a moment ago: there is nothing left to hold
                raise
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("lease not renewed", extra={"error": type(error).__name__})
                if loop.time() > ours_until:
                    raise LeaseLost(f"scrape {claim.request_id}") from error

    async def _report(self, claim: Claim, request: ScrapeRequest, work: Work) -> None:
        """Publish progress while it changes, twice a second at most."""
        loop = asyncio.get_running_loop()
        began, stage, sent, number = loop.time(), work.stage, None, 0
        while True:
            await asyncio.sleep(PROGRESS_S)
            if work.stage != stage:
                began, stage = loop.time(), work.stage
            now = (work.stage, work.step, work.channels_done, work.requests)
            if now == sent:
                continue
            sent, number = now, number + 1
            progress = ScrapeProgress(
                request_id=claim.request_id,
                team_id=request.team_id,
                user_id=request.user_id,
                stage=work.stage,
                step=work.step,
                total=work.total,
                channels_done=work.channels_done,
                channel_count=work.channel_count,
                requests=work.requests,
                slow_mode=work.slow_mode,
                eta_s=eta_s(work, loop.time() - began),
            )
            try:
                await self.bus.publish(
                    SCRAPE_PROGRESS, progress, key=f"{claim.request_id}/{claim.fence}/{number}"
                )
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
                log.warning("progress not published", extra={"error": type(error).__name__})


def eta_s(work: Work, elapsed_s: float) -> float | None:
    """Seconds to the end of the stage: by its own forecast, else by what is known of its size."""
    if work.stage == "reading" and work.forecast_s is not None:
        return round(work.forecast_s(), 1)
    if work.total > 0 and work.step > 0:
        share = work.step / work.total
    elif work.channel_count > 0 and work.channels_done > 0:
        share = work.channels_done / work.channel_count
    else:
        return None
    return round(max(0.0, elapsed_s / share - elapsed_s), 1) if share < 1 else 0.0


class _LetGo:
    """Whatever ends the block, the row says so: nobody waits for a lease that nobody uses."""

    def __init__(self, repository: Repository, claim: Claim) -> None:
        self._repository = repository
        self._claim = claim

    async def __aenter__(self) -> None:
        """Nothing to do."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: Any) -> None:
        """Mark the row failed or cancelled, or give the lease back."""
        if error is None:
            return
        cause = the_cause(error)
        try:
            async with asyncio.timeout(LET_GO_S):
                if isinstance(cause, LeaseLost):
                    pass
                elif isinstance(cause, Cancelled):
                    await self._repository.end(self._claim, "cancelled")
                elif isinstance(cause, (Refusal, PermanentError)):
                    await self._repository.end(self._claim, "failed")
                else:
                    await self._repository.give_back(self._claim)
        except Exception as away:
            if not is_transient(away):
                raise
            log.warning("lease not given back; it runs out", extra={"error": type(away).__name__})
        if cause is not error and not isinstance(error, asyncio.CancelledError):
            raise cause from error


def the_cause(error: BaseException) -> BaseException:
    """What a group of tasks ended with: the first that is no mere consequence of being stopped."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [the_cause(each) for each in error.exceptions]
    telling = [each for each in causes if not isinstance(each, (Stopped, asyncio.CancelledError))]
    lost = [each for each in telling if isinstance(each, LeaseLost)]
    return (lost or telling or causes)[0]
