"""From a committed corpus to a committed dataset of one person, with consent asked again inside the commit."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from doppel.storage import Storage
from proto.artifacts import dataset_prefix
from proto.body import derived_id
from proto.conversation import Person
from proto.dataset import DatasetOptions, DatasetSettings
from proto.errors import ArtifactCorrupt, PersonaNotAllowed, PersonaUnknown, TransientError
from proto.scrape import ScrapeResult
from services.scraper.adapters.corpora import fetch_people, fetch_shards
from services.scraper.adapters.datasets import Order, cut_dataset, store_dataset
from services.scraper.adapters.tokens import BaseTokens, Tokenizers
from services.scraper.adapters.work import Threads, Work
from services.scraper.repository import Claim, CorpusRow, DatasetRow, Repository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """How a dataset is cut where its request says nothing."""

    options: DatasetOptions
    min_samples: int
    phone_regions: tuple[str, ...]

    def settings(self, wishes: DatasetOptions, base: BaseTokens) -> DatasetSettings:
        """The request's wishes over the deployment's settings."""
        chosen = self.options.model_dump() | wishes.model_dump(exclude_none=True)
        return DatasetSettings(
            **chosen,
            phone_regions=self.phone_regions,
            base_model=base.name,
            base_model_sha256=base.content_sha256,
        )


@dataclass(frozen=True)
class Cutting:
    """Cuts datasets."""

    storage: Storage
    repository: Repository
    threads: Threads
    tokenizers: Tokenizers
    rules: Rules

    async def cut(
        self,
        claim: Claim,
        user_id: str,
        corpus: CorpusRow,
        wishes: DatasetOptions,
        result: ScrapeResult,
        folder: Path,
        work: Work,
    ) -> ScrapeResult:
        """Cut, store, commit. Raises refusals (consent, person, size) and BaseModelMissing."""
        async with self._as_it_stands(corpus):
            manifest, people = await fetch_people(self.storage, corpus.prefix, corpus.manifest_sha256)
        person = select_person(people, user_id)
        base = await self.tokenizers.fetch()
        order = Order(
            person,
            self.rules.settings(wishes, base),
            self.rules.min_samples,
            await self.repository.opted_out(corpus.team_id),
        )
        cutting = folder / "dataset"
        cutting.mkdir()
        async with self._as_it_stands(corpus):
            shards = await fetch_shards(self.storage, corpus.prefix, manifest, cutting)
        cut = await self.threads.run(
            work, lambda: cut_dataset(shards, manifest, people, order, base.encoder, cutting, work)
        )
        dataset_id = derived_id("dataset", str(claim.request_id), user_id)
        prefix = dataset_prefix(corpus.team_id, user_id, dataset_id, claim.fence)
        manifest_sha256 = await store_dataset(
            self.storage,
            prefix,
            cut,
            order,
            dataset_id=dataset_id,
            corpus=manifest,
            created_at=claim.created_at,
        )
        done = result.model_copy(
            update={
                "dataset_id": dataset_id,
                "samples": cut.samples,
                "dropped": cut.dropped,
                "summary": cut.card.summary,
                "dataset_sha256": cut.card.content_sha256,
            }
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
            cut.people,
        )
        await self.repository.commit_dataset(claim, row, done, kept_out=order.opted_out)
        log.info(
            "dataset committed",
            extra={"dataset_id": str(dataset_id), "samples": cut.samples.total, "dropped": cut.dropped},
        )
        return done

    @contextlib.asynccontextmanager
    async def _as_it_stands(self, corpus: CorpusRow) -> AsyncGenerator[None]:
        """Where somebody's words were taken out meanwhile, its objects lie elsewhere. Raises TransientError."""
        try:
            yield
        except ArtifactCorrupt as error:
            newer = await self.repository.corpus(corpus.corpus_id)
            if newer is None or newer.prefix == corpus.prefix:
                raise
            raise TransientError("The corpus was written anew meanwhile.", delay_s=1) from error


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
