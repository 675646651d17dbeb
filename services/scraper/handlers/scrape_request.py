"""``scrape.request``: claim → read or reuse a corpus → commit it → cut one person's dataset → commit it → result."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from doppel.bus import Delivery, Publisher
from proto.errors import (
    Cancelled,
    LeaseLost,
    NoConsent,
    PermanentError,
    Refusal,
    TransientError,
)
from proto.scrape import ScrapeRequest, ScrapeResult
from proto.subjects import SCRAPE_RESULT
from services.scraper.adapters.scrape_gauges import Ending, ScrapeGauges
from services.scraper.adapters.work import Work, scratch
from services.scraper.core.source import SourceKind, SourcePlan, plan_source, sharing_key
from services.scraper.handlers.cutting import Cutting
from services.scraper.handlers.histories import Histories
from services.scraper.handlers.hold import Holding
from services.scraper.repository import Claim, Finished, Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handlers:
    """Everything a scrape needs came through the constructor."""

    bus: Publisher
    repository: Repository
    holding: Holding
    histories: Histories
    cutting: Cutting
    gauges: ScrapeGauges
    holder: str
    scratch_folder: Path | None
    lease_ttl_s: float

    async def on_scrape_request(self, request: ScrapeRequest, delivery: Delivery) -> None:
        """Read a history into a corpus, and cut one persona's dataset where one is named."""
        request_id = request.request_id or delivery.id
        async with delivery.heartbeat():
            result = await self._result_of(request, request_id, delivery)
            await self.bus.publish(SCRAPE_RESULT, result, key=f"{request_id}/done")

    async def _result_of(self, request: ScrapeRequest, request_id: UUID, delivery: Delivery) -> ScrapeResult:
        if self.holding.is_leaving:
            raise TransientError("This replica is ending.", delay_s=1)
        plan = plan_source(request, api_allowed=self.histories.api_allowed)
        claim = await self.repository.claim(
            request_id,
            team_id=request.team_id,
            sharing_key=sharing_key(request),
            user_id=request.user_id,
            holder=self.holder,
            ttl_s=self.lease_ttl_s,
        )
        if isinstance(claim, Finished):
            if claim.result is None:
                raise Cancelled
            return claim.result
        log.info("scrape claimed", extra={"request_id": str(request_id), "fence": claim.fence})
        try:
            with self._measured(plan.kind):
                async with (
                    self.holding.hold(claim, request) as work,
                    scratch(self.scratch_folder) as folder,
                ):
                    return await self._scrape(claim, request, plan, delivery, folder, work)
        except LeaseLost as lost:
            if await self.repository.is_cancelled(request_id):  # a row that is stopped is nobody's any more
                raise Cancelled from lost
            raise

    async def _scrape(
        self,
        claim: Claim,
        request: ScrapeRequest,
        plan: SourcePlan,
        delivery: Delivery,
        folder: Path,
        work: Work,
    ) -> ScrapeResult:
        if request.user_id and not await self.repository.has_consent(request.team_id, request.user_id):
            raise NoConsent(request.user_id)
        corpus = await self.histories.corpus(claim, request, plan, delivery, folder, work)
        result = ScrapeResult(
            request_id=claim.request_id,
            team_id=request.team_id,
            user_id=request.user_id,
            source=request.source,
            corpus_id=corpus.corpus_id,
            message_count=corpus.message_count,
            channel_count=corpus.channel_count,
            then_train=request.then_train,
            overrides=request.overrides,
            requested_at=request.requested_at or delivery.stored_at,
        )
        if request.user_id is None:
            await self.repository.finish(claim, result)
            return result
        done = await self.cutting.cut(claim, request.user_id, corpus, request.dataset, result, folder, work)
        self.gauges.cut(done.samples.total if done.samples else 0)
        return done

    @contextmanager
    def _measured(self, kind: SourceKind) -> Generator[None]:
        """Count how the block ends, and how long it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        ending: Ending = "returned"
        try:
            yield
            ending = "done"
        except (Refusal, PermanentError) as error:
            ending = ending_of(error)
            raise
        finally:
            self.gauges.ended(kind, ending, loop.time() - began)


def ending_of(error: Refusal | PermanentError) -> Ending:
    """An ending in one word."""
    if isinstance(error, Cancelled):
        return "cancelled"
    return "refused" if isinstance(error, Refusal) else "failed"
