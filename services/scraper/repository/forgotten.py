"""Who is forgotten, and what our rows say of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.database import Database
from services.scraper.repository.rows import CorpusRow


@dataclass(frozen=True)
class Unclean:
    """A corpus that still holds words of people who are forgotten, and who is in no corpus by now."""

    corpus: CorpusRow
    people: frozenset[str]


@dataclass(frozen=True)
class Gone:
    """Datasets that have left the table: their objects may go."""

    prefixes: tuple[str, ...]
    in_use: int  # somebody learns from these right now


@dataclass(frozen=True)
class Forgotten:
    """Tables ``scrapes``, ``datasets``, ``corpora``, ``api_states``, as far as they are about one person."""

    database: Database

    async def running_for(self, team_id: str, user_id: str) -> list[UUID]:
        """Scrapes of theirs that are not over."""
        rows = await self.database.fetch(
            "select request_id from scraper.scrapes where team_id = $1 and user_id = $2 and state = 'running'",
            team_id,
            user_id,
        )
        return [row["request_id"] for row in rows]

    async def forget_scrapes(self, team_id: str, user_id: str, until: datetime) -> int:
        """What was asked for stays asked for, without saying for whom."""
        tag = await self.database.execute(
            """update scraper.scrapes set user_id = null, dataset_id = null, result = null
               where team_id = $1 and user_id = $2 and state <> 'running' and gateway.goes($1, $2, created_at, $3)""",
            team_id,
            user_id,
            until,
        )
        return int(tag.rpartition(" ")[2])

    async def forget_datasets(self, team_id: str, user_id: str, until: datetime) -> Gone:
        """Theirs, and those of others in which they are (or may be) context, unless a run learns from one now."""
        async with self.database.transaction() as connection:
            rows = await connection.fetch(
                """delete from scraper.datasets d
                   where team_id = $1 and gateway.goes($1, $2, created_at, $3)
                     and (user_id = $2 or ((people is null or $2 = any(people)) and not exists (
                           select from trainer.runs r where r.dataset_id = d.dataset_id and r.state = 'running')))
                   returning prefix""",
                team_id,
                user_id,
                until,
            )
            in_use = await connection.fetchval(
                """select count(*) from scraper.datasets
                   where team_id = $1 and user_id <> $2 and created_at <= $3
                     and (people is null or $2 = any(people))""",
                team_id,
                user_id,
                until,
            )
        return Gone(tuple(row["prefix"] for row in rows), in_use)

    async def dataset_prefixes(self, team_id: str, user_id: str) -> tuple[list[str], datetime | None]:
        """What they have by now, after another yes; and since when they agree (None: they don't)."""
        rows = await self.database.fetch(
            "select prefix from scraper.datasets where team_id = $1 and user_id = $2", team_id, user_id
        )
        since = await self.database.fetchval(
            """select recorded_at from gateway.consents_now
               where team_id = $1 and user_id = $2 and granted""",
            team_id,
            user_id,
        )
        return [row["prefix"] for row in rows], since

    async def unclean_corpora(
        self, team_id: str | None = None, corpus_id: UUID | None = None
    ) -> list[Unclean]:
        """Corpora that hold, or may hold, words of people who are forgotten."""
        rows = await self.database.fetch(
            """select c.*, (select array_agg(f.user_id) from gateway.forgotten f where f.team_id = c.team_id) as gone
               from scraper.corpora c
               where ($1::text is null or c.team_id = $1) and ($2::uuid is null or c.corpus_id = $2)
                 and exists (select from gateway.forgotten f
                             where f.team_id = c.team_id and f.user_id <> all(c.without))
               order by c.created_at""",
            team_id,
            corpus_id,
        )
        return [
            Unclean(CorpusRow.of(row), frozenset(row["gone"]) | frozenset(row["without"])) for row in rows
        ]

    async def rewritten(
        self, old: CorpusRow, prefix: str, manifest_sha256: str, message_count: int, people: Sequence[str]
    ) -> bool:
        """The corpus lies elsewhere now, without their words. False: somebody else was faster."""
        return bool(
            await self.database.fetchval(
                """update scraper.corpora set prefix = $3, manifest_sha256 = $4, message_count = $5,
                       without = $6, content_sha256 = null
                   where corpus_id = $1 and manifest_sha256 = $2 and prefix = $7 returning true""",
                old.corpus_id,
                old.manifest_sha256,
                prefix,
                manifest_sha256,
                message_count,
                list(people),
                old.prefix,
            )
        )

    async def forget_states(self, team_id: str) -> list[str]:
        """What the next reading through the API would start from: it reads all anew. Returns the objects' keys."""
        rows = await self.database.fetch(
            """delete from scraper.api_states a using scraper.corpora c
               where a.corpus_id = c.corpus_id and c.team_id = $1 returning object_key""",
            team_id,
        )
        return [row["object_key"] for row in rows]
