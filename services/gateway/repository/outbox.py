"""Inbox and outbox: every visible effect has one row, and every statement is keyed or fenced, so it may be repeated.

The algorithm: claim → post → sent; what is found in `sending` is looked up at Slack before anything goes out again.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.generate import GenerateRequest
from services.gateway.core.outbox import Key, NewRow, OutboxRow

_INSERT = """
    insert into gateway.outbox (api_app_id, channel, trigger, part, team_id, request_id, kind, thread_ts, trigger_ts,
                                asked_by, user_id, note, body, deadline_at, response_url, replaces)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + make_interval(secs => $14), $15, $16)
    on conflict do nothing"""


class Outbox:
    """gateway.inbox and gateway.outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, app_id: str, event_id: str, row: NewRow | None) -> bool:
        """Inbox and outbox row in one transaction. False: seen before; the rest is to be run again all the same."""
        async with self._database.transaction() as connection:
            tag = await connection.execute(
                "insert into gateway.inbox (app_id, event_id) values ($1, $2) on conflict do nothing",
                app_id,
                event_id,
            )
            if row is not None:
                await insert(connection, row)
        return tag.endswith(" 1")

    async def add(self, row: NewRow) -> None:
        """Insert unless it is there."""
        await self._database.execute(_INSERT, *_values(row))

    async def add_parts(self, rows: Sequence[NewRow]) -> None:
        """All of them or none, unless they are there."""
        async with self._database.transaction() as connection:
            await connection.executemany(_INSERT, [_values(row) for row in rows])

    async def fetch(self, request_id: UUID, part: int = 0) -> OutboxRow | None:
        """The row of a request's part."""
        record = await self._database.fetchrow(
            "select * from gateway.outbox where request_id = $1 and part = $2", request_id, part
        )
        return None if record is None else row_of(record)

    async def claim_due(self, claim_s: float, request_id: UUID | None = None) -> OutboxRow | None:
        """Take one message that may go out now; part n only after part n-1 is out."""
        record = await self._database.fetchrow(
            """with due as (
                    select api_app_id, channel, trigger, part from gateway.outbox o
                    where state = 'pending' and body is not null and next_at <= now()
                      and ($2::uuid is null or request_id = $2)
                      and (part = 0 or exists (
                          select from gateway.outbox p
                          where (p.api_app_id, p.channel, p.trigger, p.part)
                              = (o.api_app_id, o.channel, o.trigger, o.part - 1) and p.state = 'sent'))
                    order by next_at for update skip locked limit 1)
                update gateway.outbox o
                set state = 'sending', attempt = attempt + 1, fence = fence + 1, sending_at = now(),
                    claimed_until = now() + make_interval(secs => $1)
                from due where (o.api_app_id, o.channel, o.trigger, o.part)
                    = (due.api_app_id, due.channel, due.trigger, due.part)
                returning o.*""",
            claim_s,
            request_id,
        )
        return None if record is None else row_of(record)

    async def claim_unresolved(self, claim_s: float) -> OutboxRow | None:
        """Take one message of which nobody knows whether it is out."""
        record = await self._database.fetchrow(
            """with due as (
                    select api_app_id, channel, trigger, part from gateway.outbox
                    where state = 'sending' and claimed_until < now()
                    order by claimed_until for update skip locked limit 1)
                update gateway.outbox o
                set fence = fence + 1, claimed_until = now() + make_interval(secs => $1)
                from due where (o.api_app_id, o.channel, o.trigger, o.part)
                    = (due.api_app_id, due.channel, due.trigger, due.part)
                returning o.*, extract(epoch from now() - o.sending_at) as age_s""",
            claim_s,
        )
        return None if record is None else row_of(record)

    async def resend(self, row: OutboxRow) -> bool:
        """Fenced: may this holder post it again? False: somebody else holds it."""
        return bool(
            await self._database.fetchval(
                """update gateway.outbox set sending_at = now(), attempt = attempt + 1
                    where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and fence = $5 and state = 'sending' returning true""",
                *values_of(row.key),
                row.fence,
            )
        )

    async def sent(self, row: OutboxRow, message_ts: str, *, repair_after_s: float | None) -> str:
        """It is out, whoever says so; returns the ts that the row names: the first one, for ever."""
        async with self._database.transaction() as connection:
            await connection.execute(
                """update gateway.outbox set state = 'sent', message_ts = $5, body = null, response_url = null,
                          repair_at = now() + make_interval(secs => $6)
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4) and state <> 'sent'""",
                *values_of(row.key),
                message_ts,
                repair_after_s,
            )
            await connection.execute(  # about one post a second and channel is what Slack takes
                """update gateway.outbox set next_at = now() + interval '1 second'
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4 + 1) and state = 'pending'""",
                *values_of(row.key),
            )
            return await connection.fetchval(
                """select message_ts from gateway.outbox
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)""",
                *values_of(row.key),
            )

    async def put_back(self, row: OutboxRow, delay_s: float) -> None:
        """Definitely not out: later."""
        await self._database.execute(
            """update gateway.outbox
               set state = 'pending', attempt = attempt - 1, next_at = now() + make_interval(secs => $6)
                where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and fence = $5 and state = 'sending'""",
            *values_of(row.key),
            row.fence,
            delay_s,
        )

    async def replace(self, row: OutboxRow, body: Mapping[str, Any]) -> None:
        """Say something else instead, now: the claimed message may not go out (any more)."""
        await self._database.execute(
            """update gateway.outbox
               set state = 'pending', attempt = attempt - 1, next_at = now(), body = $6, user_id = null,
                   replaces = null
                where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and fence = $5 and state = 'sending'""",
            *values_of(row.key),
            row.fence,
            dict(body),
        )

    async def move(self, row: OutboxRow, channel: str, body: Mapping[str, Any]) -> None:
        """Refused there, so definitely not out: say it here instead."""
        await self._database.execute(
            """update gateway.outbox
               set state = 'pending', attempt = attempt - 1, next_at = now(), channel = $6, thread_ts = null,
                   body = $7, response_url = null
               where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                 and fence = $5 and state = 'sending'""",
            *values_of(row.key),
            row.fence,
            channel,
            dict(body),
        )

    async def rewrite(self, row: OutboxRow, body: Mapping[str, Any]) -> bool:
        """Say something newer, where nothing is out yet. False: it is out, or on its way."""
        tag = await self._database.execute(
            """update gateway.outbox set body = $5
               where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4) and state = 'pending'""",
            *values_of(row.key),
            dict(body),
        )
        return tag.endswith(" 1")

    async def note_file(self, row: OutboxRow, file_id: str, claim_s: float) -> bool:
        """Fenced, before the file is shared: this is what will be looked for. The claim begins anew."""
        return bool(
            await self._database.fetchval(
                """update gateway.outbox set claimed_until = now() + make_interval(secs => $7),
                          body = jsonb_set(body, '{picture,file_id}', to_jsonb($6::text))
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and fence = $5 and state = 'sending' returning true""",
                *values_of(row.key),
                row.fence,
                file_id,
                claim_s,
            )
        )

    async def failed(self, row: OutboxRow, reason: str) -> None:
        """It will never go out, nor will the parts after it; `reason` is Slack's own word."""
        await self._database.execute(
            """with given_up as (
                   update gateway.outbox
                   set state = 'failed', body = jsonb_build_object('failed', $6::text), response_url = null,
                       replaces = null
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and fence = $5 and state = 'sending' returning 1)
               update gateway.outbox set state = 'failed', body = jsonb_build_object('failed', $6::text)
               where (api_app_id, channel, trigger) = ($1, $2, $3) and part > $4 and state = 'pending'
                 and exists (select from given_up)""",
            *values_of(row.key),
            row.fence,
            reason,
        )

    async def claim_repairs(self) -> list[OutboxRow]:
        """Messages that were sent more than once, perhaps: look once more, then forget it."""
        records = await self._database.fetch(
            "update gateway.outbox o set repair_at = null where repair_at <= now() returning o.*"
        )
        return [row_of(record) for record in records]

    async def prune(self) -> None:
        """Forget what no redelivery can name any more: it must outlive the dead letters (14 days)."""
        await self._database.execute(
            "delete from gateway.inbox where received_at < now() - interval '45 days'"
        )


async def insert(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", row: NewRow) -> None:
    """Insert unless it is there, within somebody's transaction."""
    await connection.execute(_INSERT, *_values(row))


def values_of(key: Key) -> tuple[str, str, str, int]:
    """Its four columns."""
    return key.api_app_id, key.channel, key.trigger, key.part


def stored_question(question: GenerateRequest) -> dict[str, Any]:
    """What the engine will be asked, as the column holds it."""
    return question.model_dump(mode="json", exclude_none=True)


def _values(row: NewRow) -> tuple[object, ...]:
    return (
        *values_of(row.key),
        row.team_id,
        row.request_id,
        row.kind,
        row.thread_ts,
        row.trigger_ts,
        row.asked_by,
        row.user_id,
        row.note,
        None if row.body is None else dict(row.body),
        row.deadline_s,
        row.response_url,
        row.replaces,
    )


def row_of(record: asyncpg.Record) -> OutboxRow:
    """From a record of ``select *``, and `age_s` where the query has it."""
    body: dict[str, Any] | None = None if record["body"] is None else dict(record["body"])
    # A replica of the release before keeps the address in the body; posted as it is, everybody would see it.
    response_url: str | None = record["response_url"]
    if body is not None and response_url is None:
        response_url = body.pop("response_url", None)
    return OutboxRow(
        key=Key(record["api_app_id"], record["channel"], record["trigger"], record["part"]),
        team_id=record["team_id"],
        kind=record["kind"],
        request_id=record["request_id"],
        user_id=record["user_id"],
        asked_by=record["asked_by"],
        thread_ts=record["thread_ts"],
        trigger_ts=record["trigger_ts"],
        note=record["note"],
        state=record["state"],
        attempt=record["attempt"],
        fence=record["fence"],
        message_ts=record["message_ts"],
        created_at=record["created_at"],
        deadline_at=record["deadline_at"],
        age_s=float(record.get("age_s") or 0),
        body=body,
        question=record["question"],
        replaces=record["replaces"],
        run_id=record["run_id"],
        stream=record["stream"],
        stream_ts=record["stream_ts"],
        stream_name=record["stream_name"],
        stream_at=record["stream_at"],
        response_url=response_url,
    )
