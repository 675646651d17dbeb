"""The outbox's questions: what waits for the engine, what is asked, what is answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from doppel.database import Database
from proto.generate import GenerateRequest
from services.gateway.core.outbox import Key, OutboxRow
from services.gateway.repository.outbox import row_of, stored_question, values_of

Chooser = Callable[
    [Sequence[OutboxRow], int, int], Sequence[OutboxRow]
]  # waiting, outstanding, asked in a minute


class Questions:
    """Rows of gateway.outbox that have no words yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_question(self, key: Key, question: GenerateRequest) -> None:
        """Keep what will be asked; once it is there, or answered, it stays."""
        await self._database.execute(
            """update gateway.outbox set question = $5, user_id = $6
                where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                 and question is null and asked_at is null and body is null and state = 'pending'""",
            *values_of(key),
            stored_question(question),
            question.user_id,
        )

    async def claim_questions(
        self, team_id: str, limit: int, again_after_s: float, choose: Chooser
    ) -> list[OutboxRow]:
        """Mark waiting questions as asked, as `choose` (core) decides; one replica at a time decides for a workspace.

        A question that was marked and not confirmed for `again_after_s` is handed out again: its publisher died.
        """
        async with self._database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", team_id)
            outstanding = await connection.fetchval(
                """select count(*) from gateway.outbox
                   where team_id = $1 and state = 'pending' and body is null and asked_at is not null
                     and deadline_at > now()""",
                team_id,
            )
            last_minute = await connection.fetchval(
                """select count(*) from gateway.outbox
                   where team_id = $1 and kind = 'reply' and asked_at > now() - interval '1 minute'""",
                team_id,
            )
            waiting = await connection.fetch(
                """select * from gateway.outbox
                   where team_id = $1 and state = 'pending' and body is null and question is not null
                     and asked_at is null
                   order by created_at limit $2""",
                team_id,
                limit,
            )
            chosen = choose([row_of(record) for record in waiting], outstanding, last_minute)
            asked = await connection.fetch(
                """update gateway.outbox set asked_at = now()
                   where state = 'pending' and body is null and question is not null and deadline_at > now()
                     and (request_id = any($1) or (team_id = $2 and asked_at < now() - make_interval(secs => $3)))
                   returning *""",
                [row.request_id for row in chosen],
                team_id,
                again_after_s,
            )
        return [row_of(record) for record in asked]

    async def asked(self, key: Key) -> None:
        """The engine's stream has the question: no need to keep it."""
        await self._database.execute(
            """update gateway.outbox set question = null
               where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)""",
            *values_of(key),
        )

    async def teams_waiting(self, again_after_s: float) -> list[str]:
        """Workspaces with a question that was not asked yet."""
        records = await self._database.fetch(
            """select distinct team_id from gateway.outbox
               where question is not null and state = 'pending' and body is null
                 and (asked_at is null or asked_at < now() - make_interval(secs => $1))""",
            again_after_s,
        )
        return [record["team_id"] for record in records]

    async def expire(self, body: Mapping[str, Any]) -> int:
        """Answer, with a sentence, what nobody answered in time."""
        tag = await self._database.execute(
            """update gateway.outbox set body = $1, user_id = null, question = null, replaces = null
               where state = 'pending' and body is null and deadline_at <= now()""",
            dict(body),
        )
        return int(tag.rpartition(" ")[2])

    async def answer(
        self,
        row: OutboxRow,
        bodies: Sequence[Mapping[str, Any]],
        *,
        as_persona: bool,
        run_id: UUID | None = None,
    ) -> None:
        """Commit the answer, all parts or none. Whoever was first stays. `as_persona`: no plain sentence instead."""
        async with self._database.transaction() as connection:
            tag = await connection.execute(
                """update gateway.outbox set body = $5, question = null, user_id = case when $6 then user_id end,
                          replaces = case when $6 then replaces end, run_id = $7
                    where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                      and body is null and state = 'pending'""",
                *values_of(row.key),
                dict(bodies[0]),
                as_persona,
                run_id,
            )
            if not tag.endswith(" 1"):
                return
            for part, body in enumerate(bodies[1:], start=1):
                await connection.execute(
                    """insert into gateway.outbox (api_app_id, channel, trigger, part, team_id, request_id, kind,
                                                   user_id, asked_by, thread_ts, trigger_ts, body, run_id)
                       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing""",
                    row.key.api_app_id,
                    row.key.channel,
                    row.key.trigger,
                    part,
                    row.team_id,
                    row.request_id,
                    row.kind,
                    row.user_id if as_persona else None,
                    row.asked_by,
                    row.thread_ts,
                    row.trigger_ts,
                    dict(body),
                    run_id,
                )
