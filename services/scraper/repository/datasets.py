"""Datasets, and whose words may be in them."""

from collections.abc import Collection
from dataclasses import dataclass

from doppel.database import Database
from proto.dataset import DatasetSummary
from proto.errors import NoConsent, TransientError
from proto.scrape import ScrapeResult
from services.scraper.repository.rows import Claim, DatasetRow
from services.scraper.repository.scrapes import finish_within


@dataclass(frozen=True)
class Datasets:
    """Table ``datasets``."""

    database: Database

    async def opted_out(self, team_id: str) -> frozenset[str]:
        """People whose newest word is no: nothing of theirs is in anybody's dataset."""
        records = await self.database.fetch(
            "select user_id from gateway.consents_now where team_id = $1 and not granted", team_id
        )
        return frozenset(record["user_id"] for record in records)

    async def commit_dataset(
        self, claim: Claim, dataset: DatasetRow, result: ScrapeResult, *, kept_out: Collection[str]
    ) -> None:
        """The row that makes a dataset, and the outcome. `kept_out`: who had said no when it was cut.

        Raises NoConsent, LeaseLost, and TransientError where somebody else has said no since: it is cut anew.
        """
        async with self.database.transaction() as connection:
            granted = await connection.fetchval(
                "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
                dataset.team_id,
                dataset.user_id,
            )
            if not granted:
                raise NoConsent(dataset.user_id)
            late = await connection.fetchval(
                """select exists (select from gateway.consents_now
                                  where team_id = $1 and not granted and user_id <> all($2::text[]))""",
                dataset.team_id,
                list(kept_out),
            )
            if late:
                raise TransientError("Somebody has just said no; their words leave the dataset.", delay_s=1)
            summary = result.summary or DatasetSummary()
            await connection.execute(
                """insert into scraper.datasets (dataset_id, team_id, user_id, corpus_id, source, prefix,
                       manifest_sha256, train_count, validation_count, test_count, content_sha256, summary,
                       people)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                   on conflict (dataset_id) do nothing""",
                dataset.dataset_id,
                dataset.team_id,
                dataset.user_id,
                dataset.corpus_id,
                dataset.source,
                dataset.prefix,
                dataset.manifest_sha256,
                dataset.samples.train,
                dataset.samples.validation,
                dataset.samples.test,
                result.dataset_sha256,
                summary.model_dump(mode="json"),
                sorted(dataset.people),
            )
            await finish_within(connection, claim, result)
