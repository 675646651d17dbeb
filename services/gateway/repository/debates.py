"""gateway.debates, and the outbox rows of their answers."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.generate import GenerateRequest
from services.gateway.core.debate import Debate
from services.gateway.core.outbox import NewRow, OutboxRow
from services.gateway.repository.outbox import insert, row_of, stored_question, values_of

LOOK_EVERY_S = 1.0


class Debates:
    """Every statement may be repeated: a turn never goes back, and what is over stays so."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, debate: Debate, root: NewRow) -> bool:
        """Begin, unless it has begun. False: there is another one in that channel."""
        async with self._database.transaction() as connection:
            await connection.execute(
                """insert into gateway.debates
                       (debate_id, api_app_id, team_id, channel, asked_by, speakers, topic, turns)
                   values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing""",
                debate.debate_id,
                debate.api_app_id,
                debate.team_id,
                debate.channel,
                debate.asked_by,
                list(debate.speakers),
                debate.topic,
                debate.turns,
            )
            known = await connection.fetchval(
                "select true from gateway.debates where debate_id = $1", debate.debate_id
            )
            if known:
                await insert(connection, root)
        return bool(known)

    async def claim(self) -> Debate | None:
        """Take one that nobody looked after for a moment."""
        record = await self._database.fetchrow(
            """update gateway.debates set next_at = now() + make_interval(secs => $1)
               where debate_id = (select debate_id from gateway.debates where state = 'running' and next_at <= now()
                                  order by next_at limit 1 for update skip locked)
               returning *""",
            LOOK_EVERY_S,
        )
        return None if record is None else _debate_of(record)

    async def fetch(self, debate_id: UUID) -> Debate | None:
        """By id, running or over."""
        record = await self._database.fetchrow(
            "select * from gateway.debates where debate_id = $1", debate_id
        )
        return None if record is None else _debate_of(record)

    async def of_thread(self, team_id: str, channel: str, root_ts: str, event: str) -> Debate | None:
        """The running debate of a thread; or the one that this very event has stopped."""
        record = await self._database.fetchrow(
            """select * from gateway.debates
               where team_id = $1 and channel = $2 and root_ts = $3 and (state = 'running' or ended_by = $4)""",
            team_id,
            channel,
            root_ts,
            event,
        )
        return None if record is None else _debate_of(record)

    async def of_message(self, team_id: str, channel: str, ts: str) -> Debate | None:
        """The running debate that a message belongs to: it opens it, or is one of its answers."""
        record = await self._database.fetchrow(
            """select d.* from gateway.debates d
               where d.team_id = $1 and d.channel = $2 and d.state = 'running' and (d.root_ts = $3 or exists (
                   select from gateway.outbox o
                   where o.channel = $2 and o.message_ts = $3 and o.api_app_id = d.api_app_id
                     and starts_with(o.trigger, 'debate:' || d.debate_id || ':')))""",
            team_id,
            channel,
            ts,
        )
        return None if record is None else _debate_of(record)

    async def opened(self, debate: Debate, root_ts: str) -> None:
        """Its first message is out."""
        await self._database.execute(
            "update gateway.debates set root_ts = $2 where debate_id = $1 and root_ts is null",
            debate.debate_id,
            root_ts,
        )

    async def parts(self, debate: Debate) -> list[OutboxRow]:
        """The rows of this turn's answer."""
        records = await self._database.fetch(
            "select * from gateway.outbox where request_id = $1 order by part", debate.turn_id
        )
        return [row_of(record) for record in records]

    async def spoken(self, debate: Debate) -> dict[str, str]:
        """Which persona said which message, by ts."""
        rows = await self._database.fetch(
            """select message_ts, user_id from gateway.outbox
               where api_app_id = $1 and channel = $2 and starts_with(trigger, $3) and state = 'sent'
                 and user_id is not null""",
            debate.api_app_id,
            debate.channel,
            f"{debate.root.trigger}:",
        )
        return {row["message_ts"]: row["user_id"] for row in rows}

    async def speak(self, debate: Debate, row: NewRow, question: GenerateRequest) -> None:
        """This turn's question, once; none where the debate was stopped meanwhile."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(
                """select true from gateway.debates
                   where debate_id = $1 and state = 'running' and turn = $2 for update""",
                debate.debate_id,
                debate.turn,
            ):
                return
            await insert(connection, row)
            await connection.execute(
                """update gateway.outbox set question = $5
                   where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)
                     and question is null and asked_at is null and body is null and state = 'pending'""",
                *values_of(row.key),
                stored_question(question),
            )

    async def advance(self, debate: Debate) -> None:
        """The next turn."""
        await self._database.execute(
            """update gateway.debates set turn = turn + 1, next_at = now()
               where debate_id = $1 and turn = $2 and state = 'running'""",
            debate.debate_id,
            debate.turn,
        )

    async def end(self, debate: Debate, last: Sequence[NewRow], ended_by: str | None) -> list[UUID]:
        """End it: nothing of it is posted any more but `last`. Returns what the engine works on."""
        async with self._database.transaction() as connection:
            tag = await connection.execute(
                """update gateway.debates set state = 'ended', topic = null, ended_by = $2
                   where debate_id = $1 and state = 'running'""",
                debate.debate_id,
                ended_by,
            )
            if not tag.endswith(" 1"):
                return []
            stopped = await connection.fetch(
                """update gateway.outbox set state = 'failed', body = jsonb_build_object('failed', 'debate_over'),
                          question = null
                   where api_app_id = $1 and channel = $2 and starts_with(trigger, $3) and state = 'pending'
                   returning request_id, asked_at""",
                debate.api_app_id,
                debate.channel,
                f"{debate.root.trigger}:",
            )
            for row in last:
                await insert(connection, row)
        return [row["request_id"] for row in stopped if row["asked_at"] is not None]


def _debate_of(record: asyncpg.Record) -> Debate:
    return Debate(
        **{name: record[name] for name in Debate.__dataclass_fields__ if name != "speakers"},
        speakers=tuple(record["speakers"]),
    )
