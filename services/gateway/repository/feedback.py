"""gateway.feedback: what people say about answers; and which rows of the outbox an answer consists of."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from doppel.database import Database
from services.gateway.core.feedback import Verdict
from services.gateway.core.outbox import TAKEN_AWAY, OutboxRow
from services.gateway.repository.outbox import row_of

# An answer, what it was made anew from, and what was made of it.
_ALL_OF_IT = """
    with recursive before as (
        select request_id, replaces from gateway.outbox where request_id = $1 and part = 0
        union select o.request_id, o.replaces from gateway.outbox o join before b on o.request_id = b.replaces
        where o.part = 0),
    whole as (
        select request_id from before
        union select o.request_id from gateway.outbox o join whole w on o.replaces = w.request_id)
    select request_id from whole"""


@dataclass(frozen=True)
class TakenBack:
    """What is left to do with an answer that its person does not want."""

    message_ts: tuple[str, ...]
    at_the_engine: tuple[UUID, ...]
    on_its_way: bool  # something is being posted at this moment


class Feedback:
    """gateway.feedback, and answers by their messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rate(self, row: OutboxRow, rated_by: str, verdict: Verdict, *, at: datetime) -> None:
        """Write a word down; the last one that was said counts, whichever comes last."""
        await self._database.execute(
            """insert into gateway.feedback as f
                   (team_id, request_id, rated_by, user_id, run_id, channel, message_ts, verdict, rated_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               on conflict (request_id, rated_by) do update set verdict = excluded.verdict, rated_at = excluded.rated_at
               where f.rated_at <= excluded.rated_at""",
            row.team_id,
            row.request_id,
            rated_by,
            row.user_id,
            row.run_id,
            row.key.channel,
            row.message_ts,
            verdict,
            at,
        )

    async def find(self, api_app_id: str, channel: str, message_ts: str) -> OutboxRow | None:
        """The newest answer that stands in a message."""
        record = await self._database.fetchrow(
            """select * from gateway.outbox
               where api_app_id = $1 and channel = $2 and message_ts = $3 and kind = 'reply' and state = 'sent'
               order by created_at desc limit 1""",
            api_app_id,
            channel,
            message_ts,
        )
        return None if record is None else row_of(record)

    async def is_whole(self, request_id: UUID) -> bool:
        """Nothing of an answer is still to be posted."""
        return not await self._database.fetchval(
            """select exists (select from gateway.outbox
                              where request_id = $1 and state in ('pending', 'sending'))""",
            request_id,
        )

    async def messages_of(self, request_id: UUID) -> list[str]:
        """Where an answer stands, its first message first."""
        rows = await self._database.fetch(
            """select message_ts from gateway.outbox
               where request_id = $1 and state = 'sent' and message_ts <> $2 order by part""",
            request_id,
            TAKEN_AWAY,
        )
        return [row["message_ts"] for row in rows]

    async def take_back(self, request_id: UUID) -> TakenBack:
        """Post nothing more of an answer; returns what of it stands where."""
        async with self._database.transaction() as connection:
            whole = [row["request_id"] for row in await connection.fetch(_ALL_OF_IT, request_id)]
            stopped = await connection.fetch(
                """update gateway.outbox set state = 'failed', body = jsonb_build_object('failed', 'not_me'),
                          question = null, response_url = null
                   where request_id = any($1) and state = 'pending' returning request_id, asked_at""",
                whole,
            )
            rows = await connection.fetch(
                """select distinct message_ts, state from gateway.outbox
                   where request_id = any($1) and state in ('sent', 'sending')""",
                whole,
            )
        return TakenBack(
            tuple(sorted({row["message_ts"] for row in rows if row["message_ts"]} - {TAKEN_AWAY})),
            tuple({row["request_id"] for row in stopped if row["asked_at"] is not None}),
            any(row["state"] == "sending" for row in rows),
        )
