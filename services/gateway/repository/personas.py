"""gateway.personas, consents, active_adapters."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.database import Database
from proto.persona import purge_id_of
from proto.train import AdapterRef
from services.gateway.core.consent import Consent

# A no and an activation of the same person wait for each other: what is revoked can't become active beside it.
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended($1, 1))"


@dataclass(frozen=True)
class ActivePersona:
    """Somebody who may be imitated and has an adapter."""

    user_id: str
    name: str
    adapter: AdapterRef
    activated_at: datetime


class Personas:
    """Who may be imitated, and with which adapter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, team_id: str, user_id: str, name: str) -> None:
        """Remember what to call them."""
        await self._database.execute(
            """insert into gateway.personas (team_id, user_id, name) values ($1, $2, $3)
               on conflict (team_id, user_id) do update
               set name = case when excluded.name = '' then personas.name else excluded.name end, updated_at = now()""",
            team_id,
            user_id,
            name,
        )

    async def record_consent(
        self,
        team_id: str,
        user_id: str,
        *,
        granted: bool,
        recorded_by: str,
        reason: str,
        source_key: str,
        forget: bool = False,
    ) -> None:
        """One row in the ledger per button press or request. A no takes the adapter out of use in the same breath.

        A no after a yes, and `forget` whatever was said before, is also the first step of the purge.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME, f"{team_id}/{user_id}")
            await connection.execute(
                """insert into gateway.consents (team_id, user_id, granted, recorded_by, reason, source_key)
                   values ($1, $2, $3, $4, $5, $6) on conflict (source_key) do nothing""",
                team_id,
                user_id,
                granted,
                recorded_by,
                reason,
                source_key,
            )
            await connection.execute(
                """delete from gateway.active_adapters where team_id = $1 and user_id = $2 and not exists (
                       select from gateway.consents_now where team_id = $1 and user_id = $2 and granted)""",
                team_id,
                user_id,
            )
            await connection.execute(
                """delete from gateway.voices where team_id = $1 and user_id = $2 and not exists (
                       select from gateway.consents_now where team_id = $1 and user_id = $2 and granted)""",
                team_id,
                user_id,
            )
            await connection.execute(
                """insert into gateway.purges (purge_id, team_id, user_id, reason)
                   select $3, $1, $2, case when $4 then 'forget' else 'withdrawn' end
                   where exists (select from gateway.consents_now
                                 where team_id = $1 and user_id = $2 and not granted)
                     and ($4 or exists (select from gateway.consents
                                        where team_id = $1 and user_id = $2 and granted))
                   on conflict do nothing""",
                team_id,
                user_id,
                purge_id_of(source_key),
                forget,
            )

    async def has_consent(self, team_id: str, user_id: str) -> bool:
        """The newest row counts."""
        return bool(
            await self._database.fetchval(
                "select granted from gateway.consents_now where team_id = $1 and user_id = $2",
                team_id,
                user_id,
            )
        )

    async def fetch_consent(self, team_id: str, user_id: str) -> Consent | None:
        """The newest word, when and by whom; None: never asked, or not answered."""
        row = await self._database.fetchrow(
            """select granted, recorded_by, recorded_at from gateway.consents_now
               where team_id = $1 and user_id = $2""",
            team_id,
            user_id,
        )
        return None if row is None else Consent(row["granted"], row["recorded_by"], row["recorded_at"])

    async def activate(
        self, team_id: str, user_id: str, adapter: AdapterRef, base_model: str, requested_at: datetime
    ) -> bool:
        """Make it the active adapter if consent stands and it is not older than the active one. True: it is active."""
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME, f"{team_id}/{user_id}")
            await connection.execute(
                """insert into gateway.active_adapters as a
                       (team_id, user_id, run_id, prefix, manifest_sha256, base_model, requested_at)
                   select $1, $2, $3, $4, $5, $6, $7
                   where exists (select from gateway.consents_now where team_id = $1 and user_id = $2 and granted)
                     and not exists (select from trainer.runs where run_id = $3 and collected_at is not null)
                   on conflict (team_id, user_id) do update
                   set run_id = excluded.run_id, prefix = excluded.prefix, base_model = excluded.base_model,
                       manifest_sha256 = excluded.manifest_sha256, requested_at = excluded.requested_at,
                       activated_at = now()
                   where a.requested_at < excluded.requested_at""",
                team_id,
                user_id,
                adapter.run_id,
                adapter.prefix,
                adapter.manifest_sha256,
                base_model,
                requested_at,
            )
            return bool(
                await connection.fetchval(
                    """select true from gateway.active_adapters
                       where team_id = $1 and user_id = $2 and run_id = $3""",
                    team_id,
                    user_id,
                    adapter.run_id,
                )
            )

    async def choose(
        self, request_id: UUID, team_id: str, user_id: str, run_id: UUID | None
    ) -> AdapterRef | None:
        """Let a version answer from now on, on an operator's word: `run_id`, or None for the one before the active one.

        None: there is no such version. The same request once more chooses nothing more. What trained later than
        both still takes over by itself; a repeated result of what was rolled back does not.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME, f"{team_id}/{user_id}")
            found = await connection.fetchrow(
                """select v.run_id, v.adapter_prefix as prefix, v.manifest_sha256, c.request_id
                   from gateway.adapter_choices c join trainer.runs v using (run_id)
                   where c.request_id = $1 and c.team_id = $2 and c.user_id = $3""",
                request_id,
                team_id,
                user_id,
            ) or await connection.fetchrow(
                """select v.run_id, v.prefix, v.manifest_sha256, v.base_model, v.requested_at, null as request_id
                   from trainer.adapters v
                   where v.team_id = $1 and v.user_id = $2 and case when $3::uuid is not null then v.run_id = $3
                       else v.requested_at < (
                           select r.requested_at from gateway.active_adapters a join trainer.runs r using (run_id)
                           where a.team_id = $1 and a.user_id = $2) end
                   order by v.requested_at desc limit 1""",
                team_id,
                user_id,
                run_id,
            )
            if found is None:
                return None
            if found["request_id"] is None:
                await connection.execute(
                    """insert into gateway.active_adapters as a
                           (team_id, user_id, run_id, prefix, manifest_sha256, base_model, requested_at)
                       values ($1, $2, $3, $4, $5, $6, $7)
                       on conflict (team_id, user_id) do update
                       set run_id = excluded.run_id, prefix = excluded.prefix, base_model = excluded.base_model,
                           manifest_sha256 = excluded.manifest_sha256, activated_at = now(),
                           requested_at = greatest(a.requested_at, excluded.requested_at)""",
                    team_id,
                    user_id,
                    found["run_id"],
                    found["prefix"],
                    found["manifest_sha256"],
                    found["base_model"],
                    found["requested_at"],
                )
                await connection.execute(
                    """insert into gateway.adapter_choices (request_id, team_id, user_id, action, run_id)
                       values ($1, $2, $3, $4, $5)""",
                    request_id,
                    team_id,
                    user_id,
                    "rollback" if run_id is None else "activate",
                    found["run_id"],
                )
        return AdapterRef(
            run_id=found["run_id"], prefix=found["prefix"], manifest_sha256=found["manifest_sha256"]
        )

    async def fetch_active(self, team_id: str) -> list[ActivePersona]:
        """Everybody of a workspace who can answer now, the newest first."""
        rows = await self._database.fetch(
            """select a.user_id, coalesce(nullif(p.name, ''), 'Someone') as name, a.run_id, a.prefix, a.manifest_sha256,
                      a.activated_at
               from gateway.active_adapters a
               join gateway.consents_now c using (team_id, user_id)
               left join gateway.personas p using (team_id, user_id)
               where team_id = $1 and c.granted order by a.activated_at desc""",
            team_id,
        )
        return [
            ActivePersona(
                row["user_id"],
                row["name"],
                AdapterRef(
                    run_id=row["run_id"], prefix=row["prefix"], manifest_sha256=row["manifest_sha256"]
                ),
                row["activated_at"],
            )
            for row in rows
        ]

    async def fetch_name(self, team_id: str, user_id: str) -> str:
        """What to call them."""
        found = await self._database.fetchval(
            "select name from gateway.personas where team_id = $1 and user_id = $2", team_id, user_id
        )
        return found or "Someone"
