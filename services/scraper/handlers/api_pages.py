"""Answers of Slack into the bucket, then into the table: what `save` has returned for is never read again."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import zstandard

from doppel.patience import patiently
from doppel.storage import ObjectMissing, Storage
from proto.errors import ArtifactCorrupt
from services.scraper.adapters.corpora import each
from services.scraper.adapters.slack_gauges import SlackGauges
from services.scraper.adapters.work import Work
from services.scraper.core.paging import StoredPage
from services.scraper.repository import Claim, Repository

AT_ONCE: Final = 8
MOST_IN_ONE: Final = 64  # answers that share an object and a statement
LINGER_S: Final = 0.25  # at Slack's own clock no second answer comes within it
LEVEL: Final = 3  # read once, then deleted


@dataclass
class _Saving:
    page: StoredPage
    lines: list[bytes] = field(repr=False)
    done: asyncio.Future[None] = field(repr=False)


@dataclass
class PageStore:
    """One holder's answers. Whatever waits while a write is under way goes into the next one together."""

    storage: Storage
    repository: Repository
    claim: Claim
    prefix: str
    folder: Path
    work: Work
    gauges: SlackGauges
    many_wait: Callable[[], bool]  # for Slack: then a write may as well wait for company
    saved: list[StoredPage] = field(default_factory=list[StoredPage])  # and where each of them lies
    _waiting: list[_Saving] = field(default_factory=list[_Saving])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _written: int = 0

    async def save(self, page: StoredPage, lines: list[bytes]) -> None:
        """Return once it lies safe. Needs `run` beside it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Saving(page, lines, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write until cancelled. Short outages of bucket and database are waited out. Raises LeaseLost."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self.many_wait():
                await asyncio.sleep(LINGER_S)
            while batch := self._waiting[:MOST_IN_ONE]:
                del self._waiting[: len(batch)]
                await self._write(batch)

    async def _write(self, batch: list[_Saving]) -> None:
        """Object first, then the rows that name it."""
        pages = [saving.page for saving in batch]
        lines = [line for saving in batch for line in saving.lines]
        if lines:
            key = f"{self.prefix}/pages/{self._written:06d}.jsonl.zst"
            self._written += 1
            data = await asyncio.to_thread(_pack, lines, page_path(self.folder, key))
            sha256 = await patiently(lambda: self.storage.put_bytes(key, data), "S3")
            pages = [
                replace(saving.page, key=key, sha256=sha256) if saving.lines else saving.page
                for saving in batch
            ]
        await patiently(lambda: self.repository.save_pages(self.claim, pages), "PostgreSQL")
        self.saved += pages
        for saving in batch:
            self.work.step += saving.page.message_count
            self.gauges.messages(saving.page.message_count)
            if not saving.done.done():
                saving.done.set_result(None)

    async def fetch(self, pages: Iterable[StoredPage]) -> list[Path]:
        """Every object of these pages on disk; this holder's own are there. Raises ArtifactCorrupt."""
        objects = {page.key: page.sha256 for page in pages if page.key is not None and page.sha256}

        async def bring(key: str) -> None:
            path = page_path(self.folder, key)
            if await asyncio.to_thread(path.exists):
                return
            try:
                await self.storage.fetch_verified(key, objects[key], path)
            except ObjectMissing as error:
                raise ArtifactCorrupt("a page of the history") from error

        await each(objects, bring, at_once=AT_ONCE)
        return [page_path(self.folder, key) for key in sorted(objects)]


def page_path(folder: Path, key: str) -> Path:
    """Where an object lies on disk: its fence and name, so that two holders' objects don't meet."""
    *_, fence, _, name = key.split("/")
    return folder / "pages" / f"{fence}-{name}"


def _pack(lines: list[bytes], path: Path) -> bytes:
    data = zstandard.ZstdCompressor(level=LEVEL).compress(b"\n".join(lines) + b"\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data
