"""The corpus that a request stands on: an earlier holder's, another request's, or read now and committed."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from doppel.bus import Delivery
from doppel.storage import ObjectMissing, Storage
from doppel.transient import is_transient
from proto.artifacts import corpus_prefix, manifest_key
from proto.body import derived_id
from proto.errors import ArtifactCorrupt, CorpusMissing, ExportInvalid, SourceNotAllowed, TextInvalid
from proto.scrape import ScrapeRequest
from services.scraper.adapters.building import Built, build_from_export
from services.scraper.adapters.corpora import store_corpus
from services.scraper.adapters.scrape_gauges import ScrapeGauges
from services.scraper.adapters.text_file import build_from_text
from services.scraper.adapters.work import Threads, Work
from services.scraper.core.source import SourceKind, SourcePlan, TsWindow, sharing_key
from services.scraper.handlers.api_source import ApiSource
from services.scraper.handlers.erasing import Eraser
from services.scraper.repository import Claim, CorpusRow, Repository

log = logging.getLogger(__name__)

_NOT_THERE: Final = "it is not in the bucket, or was deleted after an earlier import"
_NOT_IT: Final = "its upload is damaged or too large"


@dataclass(frozen=True)
class Histories:
    """Reads histories, each once."""

    storage: Storage
    repository: Repository
    api: ApiSource
    threads: Threads
    gauges: ScrapeGauges
    eraser: Eraser
    api_allowed: bool
    export_bytes: int

    async def corpus(
        self,
        claim: Claim,
        request: ScrapeRequest,
        plan: SourcePlan,
        delivery: Delivery,
        folder: Path,
        work: Work,
    ) -> CorpusRow:
        """The corpus to cut from. Raises CorpusMissing, SourceNotAllowed, and what reading raises."""
        found = await self._found(claim, request, plan, delivery)
        corpus = found or await self._read(claim, request, plan, folder, work)
        await self._clean_up(claim, request, plan)
        if (
            await self.eraser.clean(request.team_id, corpus.corpus_id)
        ).corpora:  # it holds words of who is forgotten
            corpus = await self.repository.corpus(corpus.corpus_id) or corpus
        return corpus

    async def _found(
        self, claim: Claim, request: ScrapeRequest, plan: SourcePlan, delivery: Delivery
    ) -> CorpusRow | None:
        """What was read already: by an earlier holder, or for another request."""
        if claim.corpus_id and (earlier := await self.repository.corpus(claim.corpus_id)):
            return earlier
        if plan.kind is SourceKind.CORPUS:
            return await self._newest(request.team_id)
        shared = await self._shared(request, plan, delivery)
        if shared is not None:
            await self.repository.share_corpus(claim, shared.corpus_id)
        return shared

    async def _newest(self, team_id: str) -> CorpusRow:
        newest = await self.repository.newest_corpus(team_id)
        if newest is None:
            raise CorpusMissing(team_id)
        if newest.source == SourceKind.API and not self.api_allowed:
            raise SourceNotAllowed
        return newest

    async def _shared(self, request: ScrapeRequest, plan: SourcePlan, delivery: Delivery) -> CorpusRow | None:
        """What another request read meanwhile, or, where its upload has gone, whenever it did."""
        key = sharing_key(request)
        shared = await self.repository.corpus_of_source(request.team_id, key, delivery.stored_at)
        if shared is not None or not plan.is_upload or await self.storage.exists(plan.object_key):
            return shared
        shared = await self.repository.corpus_of_source(request.team_id, key, None)
        if shared is None:
            raise _unreadable(plan, _NOT_THERE)
        return shared

    async def _read(
        self, claim: Claim, request: ScrapeRequest, plan: SourcePlan, folder: Path, work: Work
    ) -> CorpusRow:
        """Read the history, store the shards, commit the row; or find that the newest corpus says the same."""
        corpus_id = derived_id("corpus", str(claim.request_id))
        if plan.kind is SourceKind.API:
            built = await self.api.read(claim, request, corpus_id, folder, work)
        else:
            built = await self._read_upload(request, plan, folder, work)
        same = await self._same(request.team_id, plan, built)
        if same is not None:
            await self.repository.keep_corpus(claim, same.corpus_id, corpus_id)
            self.gauges.read(plan.kind, "unchanged", 0)
            log.info("corpus unchanged", extra={"corpus_id": str(same.corpus_id)})
            return same
        prefix = corpus_prefix(request.team_id, corpus_id, claim.fence)
        manifest_sha256 = await store_corpus(
            self.storage,
            prefix,
            built,
            corpus_id=corpus_id,
            team_id=request.team_id,
            source=plan.kind.value,
            window=request.window,
            created_at=claim.created_at,
        )
        corpus = CorpusRow(
            corpus_id,
            request.team_id,
            plan.kind.value,
            prefix,
            manifest_sha256,
            built.message_count,
            built.channel_count,
            built.content_sha256,
        )
        await self.repository.commit_corpus(claim, corpus)
        self.gauges.read(plan.kind, "new", built.message_count)
        log.info(
            "corpus committed",
            extra={
                "corpus_id": str(corpus_id),
                "messages": built.message_count,
                "channels": built.channel_count,
                "dropped": built.dropped,
            },
        )
        return corpus

    async def _same(self, team_id: str, plan: SourcePlan, built: Built) -> CorpusRow | None:
        """The newest corpus of this kind, where it says just the same and is still there."""
        newest = await self.repository.newest_corpus(team_id, plan.kind.value)
        if newest is None or newest.content_sha256 != built.content_sha256:
            return None
        return newest if await self.storage.exists(manifest_key(newest.prefix)) else None

    async def _read_upload(self, request: ScrapeRequest, plan: SourcePlan, folder: Path, work: Work) -> Built:
        path = folder / f"upload.{plan.object_key.rpartition('.')[2]}"
        try:
            await self.storage.fetch_verified(
                plan.object_key, plan.sha256, path, limit_bytes=self.export_bytes
            )
        except ObjectMissing as error:
            raise _unreadable(plan, _NOT_THERE) from error
        except ArtifactCorrupt as error:
            raise _unreadable(plan, _NOT_IT) from error
        window = TsWindow.of(request.window)
        if plan.kind is SourceKind.TEXT:
            return await self.threads.run(work, lambda: build_from_text(path, window, folder, work))
        return await self.threads.run(
            work, lambda: build_from_export(path, request.team_id, window, folder, work)
        )

    async def _clean_up(self, claim: Claim, request: ScrapeRequest, plan: SourcePlan) -> None:
        """The corpus row is committed: the upload, or the pages read through the API, have served their time."""
        try:
            if plan.is_upload:
                if not await self.repository.is_read_elsewhere(
                    claim.request_id, request.team_id, request.source
                ):
                    await self.storage.delete([plan.object_key])
            elif plan.kind is SourceKind.API:
                corpus_id = derived_id("corpus", str(claim.request_id))
                home = corpus_prefix(request.team_id, corpus_id, claim.fence).rpartition("/")[0]
                keys = await self.storage.list_keys(f"{home}/")
                await self.storage.delete([key for key in keys if "/pages/" in key.removeprefix(home)])
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("left for the collector", extra={"error": type(error).__name__})


def _unreadable(plan: SourcePlan, reason: str) -> ExportInvalid | TextInvalid:
    return TextInvalid(reason) if plan.kind is SourceKind.TEXT else ExportInvalid(reason)
