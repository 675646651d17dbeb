"""``scrape.cancel.<request_id>``: a scrape is stopped wherever it is: here, elsewhere, waiting, yet to come."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from doppel.bus import Publisher
from doppel.transient import is_transient
from proto.errors import Cancelled
from proto.scrape import ScrapeRequest, ScrapeResult
from proto.subjects import SCRAPE_RESULT
from services.scraper.handlers.hold import Holding
from services.scraper.repository import Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cancels:
    """The word comes once, perhaps not to everybody; the row keeps it."""

    repository: Repository
    holding: Holding
    bus: Publisher
    find: Callable[[UUID], Awaitable[ScrapeRequest | None]]

    async def on_scrape_cancel(self, request_id: UUID) -> None:
        """Stop ours at once. Whose row was stopped is answered for: its holder may be dead, its delivery far away.

        Whoever takes it then repeats the answer under the same id, which the bus drops.
        """
        self.holding.cancel(request_id)
        try:
            stopped = await self.repository.cancel(request_id)
            if stopped and (request := await self.find(request_id)):
                await self.bus.publish(
                    SCRAPE_RESULT, stopped_result(request, request_id), key=f"{request_id}/{Cancelled.code}"
                )
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("cancel not noted", extra={"error": type(error).__name__})


def stopped_result(request: ScrapeRequest, request_id: UUID) -> ScrapeResult:
    """What a stopped scrape is told with."""
    return ScrapeResult(
        request_id=request_id,
        team_id=request.team_id,
        user_id=request.user_id,
        source=request.source,
        then_train=request.then_train,
        overrides=request.overrides,
        requested_at=request.requested_at,
        error=Cancelled().info(),
    )
