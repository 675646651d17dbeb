"""What rows say of the bucket, for the collector."""

from dataclasses import dataclass

from doppel.database import Database
from proto.body import derived_id
from services.scraper.core.leftovers import Named

_LIVE_DAYS = 8  # a request waits for seven days at most, so a row that nobody touched for longer is nobody's


@dataclass(frozen=True)
class Leftovers:
    """Reads every table of the scraper; writes ``collections``, and deletes notes of cancels that came to nothing."""

    database: Database

    async def take_collection(self, every_s: float) -> bool:
        """Is it time to look again, and is it ours to do?"""
        taken = await self.database.fetchval(
            """insert into scraper.collections as c (next_at) values (now() + make_interval(secs => $1))
               on conflict (only_one) do update set next_at = excluded.next_at where c.next_at <= now()
               returning true""",
            every_s,
        )
        return bool(taken)

    async def named_objects(self, team_id: str) -> Named:
        """What of one workspace is in use."""
        prefixes = await self.database.fetch(
            """select prefix from scraper.corpora where team_id = $1
               union select prefix from scraper.datasets where team_id = $1""",
            team_id,
        )
        states = await self.database.fetch(
            """select a.object_key as key from scraper.api_states a
               join scraper.corpora c using (corpus_id) where c.team_id = $1""",
            team_id,
        )
        live = await self.database.fetch(
            """select request_id, user_id, source, state from scraper.scrapes s
               where team_id = $1 and (
                   (state = 'running' and updated_at > now() - make_interval(days => $2))
                   or exists (select from scraper.pages p where p.request_id = s.request_id))""",
            team_id,
            _LIVE_DAYS,
        )
        read = await self.database.fetch(
            """select source, max(coalesce(read_at, updated_at)) as read_at from scraper.scrapes
               where team_id = $1 and corpus_id is not null and state <> 'running' group by source""",
            team_id,
        )
        busy: set[str] = set()
        for row in live:
            busy.add(str(derived_id("corpus", str(row["request_id"]))))
            if row["user_id"]:
                busy.add(str(derived_id("dataset", str(row["request_id"]), row["user_id"])))
        return Named(
            prefixes=frozenset(row["prefix"].rstrip("/") for row in prefixes),
            keys=frozenset(row["key"] for row in states),
            busy=frozenset(busy),
            uploads_in_use=frozenset(_upload(row["source"]) for row in live if row["state"] == "running"),
            uploads_read={_upload(row["source"]): row["read_at"] for row in read},
        )

    async def forget_old_cancels(self) -> None:
        """Cancels of requests that never came."""
        await self.database.execute(
            """delete from scraper.scrapes where source = '' and state = 'cancelled'
               and updated_at < now() - make_interval(days => $1)""",
            _LIVE_DAYS,
        )


def _upload(source: str) -> str:
    """``export:<key>#<window>`` → ``<key>``."""
    return source.partition(":")[2].partition("#")[0]
