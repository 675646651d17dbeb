"""``scrape.request``: claim → read or reuse a corpus → commit it → cut one person's dataset → commit it → result."""

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from doppel.bus import Delivery, Publisher
from doppel.storage import ObjectMissing, Storage
from doppel.transient import is_transient
from proto.artifacts import corpus_prefix, dataset_prefix
from proto.body import derived_id
from proto.conversation import Person
from proto.errors import (
    Cancelled,
    CorpusMissing,
    ExportInvalid,
    NoConsent,
    PersonaNotAllowed,
    PersonaUnknown,
    TransientError,
)
from proto.scrape import ScrapeRequest, ScrapeResult
from proto.subjects import SCRAPE_RESULT
from services.scraper.adapters.building import Built, build_from_export
from services.scraper.adapters.corpora import fetch_people, fetch_shards, store_corpus
from services.scraper.adapters.datasets import Rules, cut_dataset, store_dataset
from services.scraper.adapters.work import Threads, Work, scratch
from services.scraper.core.source import SourceKind, SourcePlan, TsWindow, plan_source, sharing_key
from services.scraper.handlers.api_source import ApiSource
from services.scraper.handlers.hold import Holding
from services.scraper.repository import Claim, CorpusRow, DatasetRow, Finished, Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Handlers:
    """Everything a scrape needs came through the constructor."""

    bus: Publisher
    storage: Storage
    repository: Repository
    holding: Holding
    api: ApiSource
    threads: Threads
    rules: Rules
    holder: str
    train_on_slack_api: str
    scratch_folder: Path | None
    export_bytes: int
    lease_ttl_s: float

    async def on_scrape_request(self, request: ScrapeRequest, delivery: Delivery) -> None:
        """Read a history into a corpus, and cut one persona's dataset where one is named."""
        request_id = request.request_id or delivery.id
        async with delivery.heartbeat():
            result = await self._result_of(request, request_id, delivery)
            await self.bus.publish(SCRAPE_RESULT, result, key=f"{request_id}/done")

    def on_scrape_cancel(self, request_id: UUID) -> None:
        """Somebody stops a scrape; another replica's is not ours to stop."""
        self.holding.cancel(request_id)

    async def _result_of(self, request: ScrapeRequest, request_id: UUID, delivery: Delivery) -> ScrapeResult:
        if self.holding.is_leaving:
            raise TransientError("This replica is ending.", delay_s=1)
        plan = plan_source(request, self.train_on_slack_api)
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
        async with self.holding.hold(claim, request) as work, scratch(self.scratch_folder) as folder:
            return await self._scrape(claim, request, plan, delivery, folder, work)

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
        corpus = await self._corpus(claim, request, plan, delivery, folder, work)
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
        return await self._dataset(claim, request.user_id, corpus, result, folder, work)

    async def _corpus(
        self,
        claim: Claim,
        request: ScrapeRequest,
        plan: SourcePlan,
        delivery: Delivery,
        folder: Path,
        work: Work,
    ) -> CorpusRow:
        """The corpus to cut from: an earlier holder's, another request's, or read now."""
        if claim.corpus_id and (earlier := await self.repository.corpus(claim.corpus_id)):
            await self._clean_up(plan, earlier)
            return earlier
        if plan.kind is SourceKind.CORPUS:
            newest = await self.repository.newest_corpus(request.team_id)
            if newest is None:
                raise CorpusMissing(request.team_id)
            return newest
        key = sharing_key(request)
        shared = await self.repository.corpus_of_source(request.team_id, key, delivery.stored_at)
        if (
            shared is None
            and plan.kind is SourceKind.EXPORT
            and not await self.storage.exists(plan.object_key)
        ):
            shared = await self.repository.corpus_of_source(request.team_id, key, None)
            if shared is None:
                raise ExportInvalid("it is not in the bucket, or was deleted after an earlier import")
        if shared is not None:
            await self.repository.share_corpus(claim, shared.corpus_id)
            return shared
        corpus = await self._read(claim, request, plan, folder, work)
        await self._clean_up(plan, corpus)
        return corpus

    async def _read(
        self, claim: Claim, request: ScrapeRequest, plan: SourcePlan, folder: Path, work: Work
    ) -> CorpusRow:
        """Read the history, store the shards, commit the row."""
        corpus_id = derived_id("corpus", str(claim.request_id))
        if plan.kind is SourceKind.API:
            built = await self.api.read(claim, request, corpus_id, folder, work)
        else:
            built = await self._read_export(request, plan, folder, work)
        prefix = corpus_prefix(request.team_id, corpus_id, claim.fence)
        manifest_sha256 = await store_corpus(
            self.storage,
            prefix,
            built,
            corpus_id=corpus_id,
            team_id=request.team_id,
            source=plan.kind.value,
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
        )
        await self.repository.commit_corpus(claim, corpus)
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

    async def _read_export(self, request: ScrapeRequest, plan: SourcePlan, folder: Path, work: Work) -> Built:
        path = folder / "export.zip"
        try:
            await self.storage.fetch_verified(
                plan.object_key, plan.sha256, path, limit_bytes=self.export_bytes
            )
        except ObjectMissing as error:
            raise ExportInvalid("it is not in the bucket, or was deleted after an earlier import") from error
        window = TsWindow.of(request.window)
        return await self.threads.run(
            work, lambda: build_from_export(path, request.team_id, window, folder, work)
        )

    async def _clean_up(self, plan: SourcePlan, corpus: CorpusRow) -> None:
        """The corpus row is committed: the upload, or the pages read through the API, have served their time."""
        try:
            if plan.kind is SourceKind.EXPORT:
                await self.storage.delete([plan.object_key])
            elif plan.kind is SourceKind.API:
                home = corpus.prefix.rstrip("/").rpartition("/")[0]
                keys = await self.storage.list_keys(f"{home}/")
                await self.storage.delete([key for key in keys if "/pages/" in key.removeprefix(home)])
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("left for the collector", extra={"error": type(error).__name__})

    async def _dataset(
        self,
        claim: Claim,
        user_id: str,
        corpus: CorpusRow,
        result: ScrapeResult,
        folder: Path,
        work: Work,
    ) -> ScrapeResult:
        """Cut, store, commit. Consent is asked again inside the commit."""
        manifest, people = await fetch_people(self.storage, corpus.prefix, corpus.manifest_sha256)
        person = select_person(people, user_id)
        cutting = folder / "dataset"
        cutting.mkdir()
        shards = await fetch_shards(self.storage, corpus.prefix, manifest, cutting)
        cut = await self.threads.run(
            work, lambda: cut_dataset(shards, manifest, people, user_id, self.rules, cutting, work)
        )
        dataset_id = derived_id("dataset", str(claim.request_id), user_id)
        prefix = dataset_prefix(corpus.team_id, user_id, dataset_id, claim.fence)
        manifest_sha256 = await store_dataset(
            self.storage,
            prefix,
            cut,
            dataset_id=dataset_id,
            corpus=manifest,
            person=person,
            seed=self.rules.seed,
            created_at=claim.created_at,
        )
        done = result.model_copy(
            update={"dataset_id": dataset_id, "samples": cut.samples, "dropped": cut.dropped}
        )
        row = DatasetRow(
            dataset_id,
            corpus.team_id,
            user_id,
            corpus.corpus_id,
            corpus.source,
            prefix,
            manifest_sha256,
            cut.samples,
        )
        await self.repository.commit_dataset(claim, row, done)
        log.info(
            "dataset committed",
            extra={"dataset_id": str(dataset_id), "samples": cut.samples.total, "dropped": cut.dropped},
        )
        return done


def select_person(people: list[Person], user_id: str) -> Person:
    """The persona's entry in the corpus's directory. Raises PersonaUnknown, PersonaNotAllowed."""
    person = next((each for each in people if each.user_id == user_id), None)
    if person is None:
        raise PersonaUnknown(f"<@{user_id}>")
    if not person.may_be_persona:
        flags = {
            "an app": person.is_bot or user_id == "USLACKBOT",
            "a guest": person.is_guest,
            "of another workspace": person.is_external,
            "deactivated": person.is_deleted,
        }
        raise PersonaNotAllowed(user_id, f"they are {next(text for text, true in flags.items() if true)}")
    return person
