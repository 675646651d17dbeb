"""Leftovers in the bucket are collected now and then: what a killed holder wrote, uploads that nobody read."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from minio.error import S3Error

from doppel.storage import Storage
from doppel.transient import is_transient
from doppel.uploads import Uploads
from services.scraper.adapters.scrape_gauges import ScrapeGauges
from services.scraper.core.leftovers import Ages, is_leftover
from services.scraper.handlers.erasing import Eraser
from services.scraper.repository import Repository

log = logging.getLogger(__name__)

MOST: Final = 5_000  # objects deleted in one pass
PASS_S: Final = 900.0
ASK_EVERY_S: Final = 300.0
TOGETHER: Final = 50  # corpora and people whose objects are looked at with one reading of the rows


@dataclass(frozen=True)
class Collector:
    """One replica at a time, a bounded pass at a time. Deletes nothing that a row names or a live scrape may need."""

    storage: Storage
    repository: Repository
    gauges: ScrapeGauges
    ages: Ages
    every_s: float
    now: Callable[[], datetime]
    eraser: Eraser

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                if await self.repository.take_collection(self.every_s):
                    async with asyncio.timeout(PASS_S):
                        await self.collect()
            except Exception as error:
                if not is_transient(error) and not isinstance(
                    error, S3Error
                ):  # a bucket that refuses is no reason
                    raise
                log.warning("leftovers stay for the next time", extra={"error": type(error).__name__})
            await asyncio.sleep(min(ASK_EVERY_S, self.every_s))

    async def collect(self) -> int:
        """One pass over every workspace; returns how many objects went."""
        await self.repository.forget_old_cancels()
        await self.eraser.clean()  # a holder may have died between a corpus and its cleaning
        deleted = 0
        for team in await self.storage.list_folders("workspaces/"):
            deleted += await self._collect_team(team, MOST - deleted)
        if deleted:
            self.gauges.collected(deleted)
            log.info("leftovers collected", extra={"objects": deleted})
        return deleted

    async def _collect_team(self, team: str, most: int) -> int:
        await self._drop_unfinished(f"{team}exports/")
        deleted = 0
        prefixes = await self._prefixes(team)
        for first in range(0, len(prefixes), TOGETHER):
            if deleted >= most:
                break
            listed = [  # before the rows: what is named by then is kept
                each
                for prefix in prefixes[first : first + TOGETHER]
                for each in await self.storage.list_objects(prefix)
            ]
            if not listed:
                continue
            named = await self.repository.named_objects(team.rstrip("/").rpartition("/")[2])
            gone = [
                each.key
                for each in listed
                if is_leftover(each.key, each.modified_at, named, self.ages, self.now())
            ][: most - deleted]
            if gone:
                await self.storage.delete(gone)
                deleted += len(gone)
        return deleted

    async def _prefixes(self, team: str) -> list[str]:
        """Where one workspace's objects of ours lie, a few at a time."""
        people = await self.storage.list_folders(f"{team}personas/")
        corpora = await self.storage.list_folders(f"{team}corpora/")
        return [f"{team}exports/", *corpora, *(f"{person}datasets/" for person in people)]

    async def _drop_unfinished(self, prefix: str) -> None:
        """Uploads that were begun and never ended."""
        uploads = Uploads(self.storage)
        for upload in await uploads.unfinished(prefix):
            if self.now() - upload.began_at > self.ages.upload:
                await uploads.abort(upload)
