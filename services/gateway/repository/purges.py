"""gateway.purges: who is being forgotten, and how far that is; and what of them stands in our own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from doppel.database import Database
from proto.persona import PersonaPurged
from services.gateway.core.forgetting import Purge


@dataclass(frozen=True)
class Shared:
    """Something of a report that stands in Slack."""

    request_id: UUID
    part: int
    channel: str
    message_ts: str  # a file's id where it begins with F


@dataclass(frozen=True)
class Waiting:
    """Questions that wait for the persona's answer: these were asked already."""

    asked: tuple[UUID, ...]
    count: int


class Purges:
    """Clocks are the database's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, again_after_s: float) -> Purge | None:
        """Take one whose next round is due. Whoever dies over it loses it after a while."""
        row = await self._database.fetchrow(
            """update gateway.purges set next_at = now() + make_interval(secs => $1)
               where purge_id = (select purge_id from gateway.purges where done_at is null and next_at <= now()
                                 order by next_at limit 1 for update skip locked)
               returning purge_id, team_id, user_id, requested_at, round, answers""",
            again_after_s,
        )
        return None if row is None else Purge(**dict(row))

    async def went_out(self, purge: Purge, number: int, pause_s: float) -> None:
        """This round is published and our own part of it is done; the next one comes after a pause."""
        await self._database.execute(
            """update gateway.purges set round = $2, next_at = now() + make_interval(secs => $3)
               where purge_id = $1 and round < $2""",
            purge.purge_id,
            number,
            pause_s,
        )

    async def answered(self, told: PersonaPurged) -> Purge | None:
        """Keep a service's newest answer; returns how it stands now."""
        row = await self._database.fetchrow(
            """update gateway.purges p set answers = p.answers || jsonb_build_object($2::text, $3::jsonb)
               where purge_id = $1 and coalesce((p.answers -> $2 ->> 'round')::int, 0) <= $4
               returning purge_id, team_id, user_id, requested_at, round, answers""",
            told.request_id,
            told.service,
            {"round": told.round, "removed": told.removed, "left": told.left},
            told.round,
        )
        return None if row is None else Purge(**dict(row))

    async def over(self, purge: Purge) -> None:
        """The last round is answered."""
        await self._database.execute(
            "update gateway.purges set done_at = now() where purge_id = $1 and done_at is null",
            purge.purge_id,
        )

    async def shared(self, purge: Purge) -> list[Shared]:
        """Reports of theirs that were posted: messages with answers in their voice, and plots."""
        rows = await self._database.fetch(
            """select request_id, part, channel, message_ts from gateway.outbox
                where team_id = $1 and user_id = $2 and kind = 'report' and state = 'sent'
                  and message_ts is not null and gateway.goes($1, $2, created_at, $3)""",
            *_whose(purge),
        )
        return [Shared(**dict(row)) for row in rows]

    async def taken_away(self, each: Shared) -> None:
        """It is gone from Slack, or Slack keeps it from us for good."""
        await self._database.execute(
            "update gateway.outbox set message_ts = null, repair_at = null where request_id = $1 and part = $2",
            each.request_id,
            each.part,
        )

    async def silence(self, purge: Purge, sentence: Mapping[str, Any]) -> Waiting:
        """What waits to be said in their voice is answered with a sentence instead."""
        async with self._database.transaction() as connection:
            await connection.execute(
                """delete from gateway.outbox
                    where team_id = $1 and user_id = $2 and kind in ('reply', 'report') and state = 'pending'
                      and part > 0 and gateway.goes($1, $2, created_at, $3)""",
                *_whose(purge),
            )
            rows = await connection.fetch(
                """update gateway.outbox set body = $4, question = null, note = null, user_id = null, replaces = null
                    where team_id = $1 and user_id = $2 and kind in ('reply', 'report') and state = 'pending'
                      and gateway.goes($1, $2, created_at, $3) returning request_id, asked_at""",
                *_whose(purge),
                dict(sentence),
            )
        return Waiting(tuple(row["request_id"] for row in rows if row["asked_at"] is not None), len(rows))

    async def erase(self, purge: Purge) -> dict[str, int]:
        """Our own rows of them. The ledger stays: it says that they are not to be imitated."""
        removed: dict[str, int] = {}
        async with self._database.transaction() as connection:
            for what, statement in _STATEMENTS.items():
                tag = await connection.execute(statement, *_whose(purge))
                removed[what] = int(tag.rpartition(" ")[2])
        return removed

    async def runs_under_way(self, purge: Purge) -> Sequence[UUID]:
        """Trainings that are not over: they are stopped first."""
        rows = await self._database.fetch(
            """select request_id from gateway.trainings
                where team_id = $1 and user_id = $2 and state <> 'done' and gateway.goes($1, $2, requested_at, $3)""",
            *_whose(purge),
        )
        return [row["request_id"] for row in rows]


def _whose(purge: Purge) -> tuple[str, str, datetime]:
    return purge.team_id, purge.user_id, purge.requested_at


_STATEMENTS: Final = {
    "active_adapters": """delete from gateway.active_adapters
        where team_id = $1 and user_id = $2 and gateway.goes($1, $2, activated_at, $3)""",
    "voices": """delete from gateway.voices
        where team_id = $1 and user_id = $2 and gateway.goes($1, $2, set_at, $3)""",
    "adapter_choices": """delete from gateway.adapter_choices
        where team_id = $1 and user_id = $2 and gateway.goes($1, $2, chosen_at, $3)""",
    "trainings": """delete from gateway.trainings
        where team_id = $1 and user_id = $2 and state = 'done' and gateway.goes($1, $2, requested_at, $3)""",
    "personas": """delete from gateway.personas
        where team_id = $1 and user_id = $2 and gateway.goes($1, $2, updated_at, $3)""",
    "feedback": """delete from gateway.feedback
        where team_id = $1 and user_id = $2 and gateway.goes($1, $2, rated_at, $3)""",
    "debates": """delete from gateway.debates
        where team_id = $1 and $2 = any(speakers) and state = 'ended' and gateway.goes($1, $2, created_at, $3)""",
    # Whose answer stands in a channel stays known, without its words: they may still want it taken back.
    "outbox": """update gateway.outbox set question = null, note = null, run_id = null,
            user_id = case when kind = 'reply' and state = 'sent' then user_id end,
            body = case when state = 'failed' then body end
        where team_id = $1 and user_id = $2 and state in ('sent', 'failed')
          and (kind <> 'report' or message_ts is null) and gateway.goes($1, $2, created_at, $3)
          and (kind <> 'reply' or state <> 'sent' or num_nonnulls(question, note, run_id, body) > 0)""",
}
