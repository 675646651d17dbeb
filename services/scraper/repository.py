"""The scraper's SQL, one function per query. The clock is the database's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from doppel.database import Database
from doppel.migrate import expected_migrations
from proto.errors import Crashed, LeaseLost, NoConsent, TransientError
from proto.scrape import SampleCounts, ScrapeResult

MOST_CRASHES: Final = 12


@dataclass(frozen=True)
class Claim:
    """A scrape that is ours now. `corpus_id`: an earlier holder got so far."""

    request_id: UUID
    fence: int
    created_at: datetime
    corpus_id: UUID | None


@dataclass(frozen=True)
class Finished:
    """A scrape that came to its end before; `result` is what was published then, None when it was stopped."""

    result: ScrapeResult | None


@dataclass(frozen=True)
class CorpusRow:
    """A committed corpus."""

    corpus_id: UUID
    team_id: str
    source: str
    prefix: str
    manifest_sha256: str
    message_count: int
    channel_count: int


@dataclass(frozen=True)
class DatasetRow:
    """A dataset about to be committed."""

    dataset_id: UUID
    team_id: str
    user_id: str
    corpus_id: UUID
    source: str
    prefix: str
    manifest_sha256: str
    samples: SampleCounts


@dataclass(frozen=True)
class Installation:
    """How to reach a workspace: its sealed token."""

    bot_token: bytes
    enterprise_id: str | None


@dataclass(frozen=True)
class Cursor:
    """How far one channel is: the pages that lie in the bucket, and where the next one begins."""

    channel_id: str
    page: int = 0
    latest_ts: str | None = None
    done: bool = False
    shards: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Repository:
    """Queries; each is one short statement or transaction."""

    database: Database

    async def check_schema(self) -> None:
        """Raise unless this checkout's migrations are applied."""
        rows = await self.database.fetch("select name from doppel.schema_migrations")
        missing = expected_migrations() - {row["name"] for row in rows}
        if missing:
            raise asyncpg.UndefinedTableError("migrations are missing; run `doppel db migrate`")

    async def claim(
        self,
        request_id: UUID,
        *,
        team_id: str,
        sharing_key: str,
        user_id: str | None,
        holder: str,
        ttl_s: float,
    ) -> Claim | Finished:
        """Take the scrape, or take it over from a holder whose lease ran out.

        Raises TransientError while it, or another reading of the same source, is held; Crashed after too many
        holders died over it.
        """
        async with self.database.transaction() as connection:
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"{team_id}/{sharing_key}"
            )
            row = await connection.fetchrow(
                """select state, result, fence, given_back, extract(epoch from lease_until - now())::float8 as left_s
                   from scraper.scrapes where request_id = $1""",
                request_id,
            )
            if row is not None and row["state"] in ("done", "cancelled"):
                return Finished(ScrapeResult.model_validate(row["result"]) if row["result"] else None)
            if row is not None and row["state"] == "running" and row["left_s"] > 0:
                raise TransientError("This scrape is held by another replica.", delay_s=row["left_s"] + 0.5)
            if sharing_key != "corpus:latest":
                await _wait_for_another(connection, request_id, team_id, sharing_key)
            crashed = row is not None and row["fence"] - row["given_back"] >= MOST_CRASHES
            taken = await connection.fetchrow(
                """insert into scraper.scrapes as s (request_id, team_id, source, user_id, holder, lease_until, state)
                   values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7)
                   on conflict (request_id) do update set fence = s.fence + 1, holder = excluded.holder,
                       lease_until = excluded.lease_until, state = excluded.state, updated_at = now()
                   returning fence, created_at, corpus_id""",
                request_id,
                team_id,
                sharing_key,
                user_id,
                holder,
                ttl_s,
                "failed" if crashed else "running",
            )
        if crashed:
            raise Crashed
        assert taken is not None
        return Claim(request_id, taken["fence"], taken["created_at"], taken["corpus_id"])

    async def renew(self, claim: Claim, ttl_s: float) -> None:
        """Hold the lease for longer. Raises LeaseLost."""
        row = await self.database.fetchrow(
            """update scraper.scrapes set lease_until = now() + make_interval(secs => $3), updated_at = now()
               where request_id = $1 and fence = $2 and state = 'running' returning fence""",
            claim.request_id,
            claim.fence,
            ttl_s,
        )
        if row is None:
            raise LeaseLost(f"scrape {claim.request_id}")

    async def give_back(self, claim: Claim) -> None:
        """Let go in good order, so that the next holder need not wait and nobody counts a crash."""
        await self.database.execute(
            """update scraper.scrapes set lease_until = now(), given_back = given_back + 1, updated_at = now()
               where request_id = $1 and fence = $2 and state = 'running'""",
            claim.request_id,
            claim.fence,
        )

    async def end(self, claim: Claim, state: str) -> None:
        """Mark it failed or cancelled."""
        await self.database.execute(
            """update scraper.scrapes set state = $3, lease_until = now(), given_back = given_back + 1,
                   updated_at = now()
               where request_id = $1 and fence = $2 and state = 'running'""",
            claim.request_id,
            claim.fence,
            state,
        )

    async def commit_corpus(self, claim: Claim, corpus: CorpusRow) -> None:
        """The row that makes a corpus: objects were written before. Raises LeaseLost."""
        async with self.database.transaction() as connection:
            held = await connection.fetchrow(
                """update scraper.scrapes set corpus_id = $3, updated_at = now()
                   where request_id = $1 and fence = $2 and state = 'running' returning fence""",
                claim.request_id,
                claim.fence,
                corpus.corpus_id,
            )
            if held is None:
                raise LeaseLost(f"scrape {claim.request_id}")
            await connection.execute(
                """insert into scraper.corpora
                       (corpus_id, team_id, source, prefix, manifest_sha256, message_count, channel_count)
                   values ($1, $2, $3, $4, $5, $6, $7) on conflict (corpus_id) do nothing""",
                corpus.corpus_id,
                corpus.team_id,
                corpus.source,
                corpus.prefix,
                corpus.manifest_sha256,
                corpus.message_count,
                corpus.channel_count,
            )
            await connection.execute(
                "delete from scraper.channel_cursors where request_id = $1", claim.request_id
            )

    async def share_corpus(self, claim: Claim, corpus_id: UUID) -> None:
        """Take another request's corpus as this one's. Raises LeaseLost."""
        row = await self.database.fetchrow(
            """update scraper.scrapes set corpus_id = $3, updated_at = now()
               where request_id = $1 and fence = $2 and state = 'running' returning fence""",
            claim.request_id,
            claim.fence,
            corpus_id,
        )
        if row is None:
            raise LeaseLost(f"scrape {claim.request_id}")

    async def finish(self, claim: Claim, result: ScrapeResult) -> None:
        """Store the outcome, so that a redelivery repeats it. Raises LeaseLost."""
        async with self.database.transaction() as connection:
            await _finish(connection, claim, result)

    async def commit_dataset(self, claim: Claim, dataset: DatasetRow, result: ScrapeResult) -> None:
        """The row that makes a dataset, and the outcome. Raises NoConsent, LeaseLost."""
        async with self.database.transaction() as connection:
            granted = await connection.fetchval(
                "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
                dataset.team_id,
                dataset.user_id,
            )
            if not granted:
                raise NoConsent(dataset.user_id)
            await connection.execute(
                """insert into scraper.datasets (dataset_id, team_id, user_id, corpus_id, source, prefix,
                       manifest_sha256, train_count, validation_count, test_count)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (dataset_id) do nothing""",
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
            )
            await _finish(connection, claim, result)

    async def has_consent(self, team_id: str, user_id: str) -> bool:
        """Is the newest word of that person a yes?"""
        return bool(
            await self.database.fetchval(
                "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
                team_id,
                user_id,
            )
        )

    async def corpus(self, corpus_id: UUID) -> CorpusRow | None:
        """A committed corpus."""
        return _corpus(
            await self.database.fetchrow("select * from scraper.corpora where corpus_id = $1", corpus_id)
        )

    async def newest_corpus(self, team_id: str) -> CorpusRow | None:
        """The workspace's newest."""
        return _corpus(
            await self.database.fetchrow(
                "select * from scraper.corpora where team_id = $1 order by created_at desc limit 1", team_id
            )
        )

    async def corpus_of_source(
        self, team_id: str, sharing_key: str, since: datetime | None
    ) -> CorpusRow | None:
        """What another request read from the same source, finished after `since` (None: whenever)."""
        return _corpus(
            await self.database.fetchrow(
                """select c.* from scraper.corpora c join scraper.scrapes s using (corpus_id)
                   where s.team_id = $1 and s.source = $2 and ($3::timestamptz is null or c.created_at >= $3)
                   order by c.created_at desc limit 1""",
                team_id,
                sharing_key,
                since,
            )
        )

    async def installation(self, team_id: str) -> Installation | None:
        """The workspace's living installation."""
        row = await self.database.fetchrow(
            "select bot_token, enterprise_id from gateway.installations where team_id = $1 and state = 'active'",
            team_id,
        )
        return Installation(row["bot_token"], row["enterprise_id"]) if row else None

    async def cursors(self, request_id: UUID) -> dict[str, Cursor]:
        """How far each channel is."""
        rows = await self.database.fetch(
            "select channel_id, page, latest_ts, done, shards from scraper.channel_cursors where request_id = $1",
            request_id,
        )
        return {
            row["channel_id"]: Cursor(
                row["channel_id"], row["page"], row["latest_ts"], row["done"], tuple(row["shards"])
            )
            for row in rows
        }

    async def save_page(self, claim: Claim, cursor: Cursor, new_shards: Sequence[Mapping[str, Any]]) -> None:
        """One page more lies in the bucket. Raises LeaseLost."""
        row = await self.database.fetchrow(
            """insert into scraper.channel_cursors as c
                   (request_id, channel_id, fence, page, latest_ts, done, shards)
               select request_id, $3, fence, $4, $5, $6, $7 from scraper.scrapes
               where request_id = $1 and fence = $2 and state = 'running'
               on conflict (request_id, channel_id) do update set fence = excluded.fence, page = excluded.page,
                   latest_ts = excluded.latest_ts, done = excluded.done, shards = c.shards || excluded.shards,
                   updated_at = now()
               returning page""",
            claim.request_id,
            claim.fence,
            cursor.channel_id,
            cursor.page,
            cursor.latest_ts,
            cursor.done,
            list(new_shards),
        )
        if row is None:
            raise LeaseLost(f"scrape {claim.request_id}")

    async def reserve(self, team_id: str, method: str, recovery: float) -> tuple[float, float]:
        """Take the next slot of one method: seconds to wait for it, and the interval in force."""
        row = await self.database.fetchrow(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s) values ($1, $2, now(), 0)
               on conflict (team_id, method) do update set
                   next_at = greatest(b.next_at, now()) + make_interval(secs => b.interval_s),
                   interval_s = case when b.interval_s < 0.005 then 0
                                     when b.interval_s >= 30 then b.interval_s
                                     else b.interval_s * $3 end,
                   updated_at = now()
               returning interval_s, case when interval_s >= 30 or interval_s = 0 then interval_s
                                          else interval_s / $3 end as taken_s,
                   extract(epoch from next_at - now())::float8 as ahead_s""",
            team_id,
            method,
            recovery,
        )
        assert row is not None
        return max(0.0, row["ahead_s"] - row["taken_s"]), row["interval_s"]

    async def slow_down(self, team_id: str, method: str, retry_after_s: float, interval_s: float) -> None:
        """Slack asked to wait: nobody calls that method before, and then less often."""
        await self.database.execute(
            """insert into scraper.budgets as b (team_id, method, next_at, interval_s)
               values ($1, $2, now() + make_interval(secs => $3), $4)
               on conflict (team_id, method) do update set
                   next_at = greatest(b.next_at, excluded.next_at),
                   interval_s = greatest(b.interval_s, excluded.interval_s), updated_at = now()""",
            team_id,
            method,
            retry_after_s,
            interval_s,
        )


async def _wait_for_another(connection: Any, request_id: UUID, team_id: str, sharing_key: str) -> None:
    other = await connection.fetchval(
        """select true from scraper.scrapes where team_id = $1 and source = $2 and request_id <> $3
           and state = 'running' and corpus_id is null and lease_until > now() limit 1""",
        team_id,
        sharing_key,
        request_id,
    )
    if other:
        raise TransientError("The same history is being read for another request.", delay_s=2)


async def _finish(connection: Any, claim: Claim, result: ScrapeResult) -> None:
    row = await connection.fetchrow(
        """update scraper.scrapes set state = 'done', dataset_id = $3, result = $4, lease_until = now(),
               updated_at = now()
           where request_id = $1 and fence = $2 and state = 'running' returning fence""",
        claim.request_id,
        claim.fence,
        result.dataset_id,
        result.model_dump(mode="json", exclude_none=True),
    )
    if row is None:
        raise LeaseLost(f"scrape {claim.request_id}")


def _corpus(row: asyncpg.Record | None) -> CorpusRow | None:
    if row is None:
        return None
    return CorpusRow(
        row["corpus_id"],
        row["team_id"],
        row["source"],
        row["prefix"],
        row["manifest_sha256"],
        row["message_count"],
        row["channel_count"],
    )
