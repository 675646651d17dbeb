"""Corpora: the rows that make them, each in one transaction with its scrape."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.errors import LeaseLost
from services.scraper.repository.rows import Claim, CorpusRow


@dataclass(frozen=True)
class Corpora:
    """Table ``corpora``."""

    database: Database

    async def commit_corpus(self, claim: Claim, corpus: CorpusRow) -> None:
        """The row that makes a corpus: objects were written before. Raises LeaseLost."""
        async with self.database.transaction() as connection:
            await _stand_on(connection, claim, corpus.corpus_id)
            await connection.execute(
                """insert into scraper.corpora
                       (corpus_id, team_id, source, prefix, manifest_sha256, message_count, channel_count,
                        content_sha256)
                   values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (corpus_id) do nothing""",
                corpus.corpus_id,
                corpus.team_id,
                corpus.source,
                corpus.prefix,
                corpus.manifest_sha256,
                corpus.message_count,
                corpus.channel_count,
                corpus.content_sha256,
            )

    async def keep_corpus(self, claim: Claim, corpus_id: UUID, unborn_id: UUID) -> None:
        """The history was read and is still what that corpus says: `unborn_id` is not made. Raises LeaseLost.

        What the reading leaves for the next one goes over to the corpus that stays.
        """
        async with self.database.transaction() as connection:
            await _stand_on(connection, claim, corpus_id)
            await connection.execute(
                """with left_by_it as (
                       delete from scraper.api_states where corpus_id = $2 returning object_key, sha256)
                   insert into scraper.api_states (corpus_id, object_key, sha256)
                   select $1, object_key, sha256 from left_by_it
                   on conflict (corpus_id) do update set object_key = excluded.object_key,
                       sha256 = excluded.sha256, created_at = now()""",
                corpus_id,
                unborn_id,
            )

    async def corpus(self, corpus_id: UUID) -> CorpusRow | None:
        """A committed corpus."""
        return _corpus(
            await self.database.fetchrow("select * from scraper.corpora where corpus_id = $1", corpus_id)
        )

    async def newest_corpus(self, team_id: str, source: str | None = None) -> CorpusRow | None:
        """The workspace's newest; of those that were read in that way, where one is named."""
        return _corpus(
            await self.database.fetchrow(
                """select * from scraper.corpora where team_id = $1 and ($2::text is null or source = $2)
                   order by created_at desc limit 1""",
                team_id,
                source,
            )
        )

    async def corpus_of_source(
        self, team_id: str, sharing_key: str, since: datetime | None
    ) -> CorpusRow | None:
        """What another request read from the same source, finished after `since` (None: whenever)."""
        return _corpus(
            await self.database.fetchrow(
                """select c.* from scraper.corpora c join scraper.scrapes s using (corpus_id)
                   where s.team_id = $1 and s.source = $2
                     and ($3::timestamptz is null or coalesce(s.read_at, c.created_at) >= $3)
                   order by coalesce(s.read_at, c.created_at) desc limit 1""",
                team_id,
                sharing_key,
                since,
            )
        )


async def _stand_on(connection: Any, claim: Claim, corpus_id: UUID) -> None:
    """The scrape has read: it stands on that corpus, and what it stored on the way is nobody's. Raises LeaseLost."""
    held = await connection.fetchrow(
        """update scraper.scrapes set corpus_id = $3, read_at = now(), updated_at = now()
           where request_id = $1 and fence = $2 and state = 'running' returning fence""",
        claim.request_id,
        claim.fence,
        corpus_id,
    )
    if held is None:
        raise LeaseLost(f"scrape {claim.request_id}")
    await connection.execute("delete from scraper.pages where request_id = $1", claim.request_id)


def _corpus(row: asyncpg.Record | None) -> CorpusRow | None:
    return None if row is None else CorpusRow.of(row)
