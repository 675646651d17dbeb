"""Claims: who holds a scrape, for how long, how it ended. The clock is the database's."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from doppel.database import Database
from proto.errors import Crashed, LeaseLost, TransientError
from proto.scrape import ScrapeResult
from services.scraper.repository.rows import Claim, Finished

MOST_CRASHES: Final = 12
ASK_AGAIN_S: Final = 5.0


@dataclass(frozen=True)
class Scrapes:
    """Table ``scrapes``."""

    database: Database

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

    async def cancel(self, request_id: UUID) -> bool:
        """Note that somebody stops that scrape, whether it is held, waits, or has yet to come. False: too late."""
        stopped = await self.database.fetchval(
            """insert into scraper.scrapes as s (request_id, team_id, source, holder, lease_until, state)
               values ($1, '', '', '', now(), 'cancelled')
               on conflict (request_id) do update set state = 'cancelled', updated_at = now()
                   where s.state = 'running'
               returning true""",
            request_id,
        )
        return bool(stopped)

    async def is_read_elsewhere(self, request_id: UUID, team_id: str, source: str) -> bool:
        """Does another scrape still read that upload, perhaps another window of it?"""
        return bool(
            await self.database.fetchval(
                """select true from scraper.scrapes where team_id = $2 and request_id <> $1
                   and state = 'running' and corpus_id is null and split_part(source, '#', 1) = $3 limit 1""",
                request_id,
                team_id,
                source,
            )
        )

    async def is_cancelled(self, request_id: UUID) -> bool:
        """Has somebody stopped it?"""
        state = await self.database.fetchval(
            "select state from scraper.scrapes where request_id = $1", request_id
        )
        return state == "cancelled"

    async def share_corpus(self, claim: Claim, corpus_id: UUID) -> None:
        """Take another request's corpus as this one's. Raises LeaseLost."""
        row = await self.database.fetchrow(
            """update scraper.scrapes set corpus_id = $3, updated_at = now(), read_at =
                   (select max(other.read_at) from scraper.scrapes other where other.corpus_id = $3)
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
            await finish_within(connection, claim, result)


async def _wait_for_another(connection: Any, request_id: UUID, team_id: str, sharing_key: str) -> None:
    other = await connection.fetchval(
        """select true from scraper.scrapes where team_id = $1 and source = $2 and request_id <> $3
           and state = 'running' and corpus_id is null and lease_until > now() limit 1""",
        team_id,
        sharing_key,
        request_id,
    )
    if other:
        raise TransientError("The same history is being read for another request.", delay_s=ASK_AGAIN_S)


async def finish_within(connection: Any, claim: Claim, result: ScrapeResult) -> None:
    """The same inside somebody's transaction. Raises LeaseLost."""
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
