"""gateway.outbox: answers whose message stands there before they are known."""

from doppel.database import Database
from services.gateway.core.outbox import OutboxRow
from services.gateway.repository.outbox import values_of

_OF = "where (api_app_id, channel, trigger, part) = ($1, $2, $3, $4)"


class Streams:
    """Written down before and after each step, so that another replica can finish what one has begun."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, row: OutboxRow, name: str, streams_a_minute: int) -> bool:
        """A message is about to be begun. False: it is answered already, or the workspace has used its minute."""
        return bool(
            await self._database.fetchval(
                f"""update gateway.outbox set stream = 'starting', stream_name = $5, stream_at = now()
                   {_OF} and state = 'pending' and body is null and stream is null
                     and $6 > (select count(*) from gateway.outbox o
                               where o.team_id = $7 and o.stream_at > now() - interval '1 minute')
                   returning true""",  # noqa: S608
                *values_of(row.key),
                name,
                streams_a_minute,
                row.team_id,
            )
        )

    async def begun(self, row: OutboxRow, ts: str) -> bool:
        """It is there. False: somebody went on without it, so it must go."""
        return bool(
            await self._database.fetchval(
                f"""update gateway.outbox set stream = 'live', stream_ts = $5
                   {_OF} and stream = 'starting' returning true""",  # noqa: S608
                *values_of(row.key),
                ts,
            )
        )

    async def forget(self, row: OutboxRow) -> None:
        """There is no such message (any more): the answer is posted like any other."""
        await self._database.execute(
            f"update gateway.outbox set stream = null, stream_ts = null {_OF} and state <> 'sent'",  # noqa: S608
            *values_of(row.key),
        )

    async def taken(self, row: OutboxRow) -> list[str]:
        """Messages of the same thread that belong to other answers."""
        rows = await self._database.fetch(
            """select unnest(array[stream_ts, message_ts]) as ts from gateway.outbox
               where channel = $1 and thread_ts = $2 and request_id <> $3""",
            row.key.channel,
            row.thread_ts,
            row.request_id,
        )
        return [each["ts"] for each in rows if each["ts"]]

    async def is_open(self, row: OutboxRow) -> bool:
        """Nobody has answered yet."""
        return bool(
            await self._database.fetchval(
                f"select true from gateway.outbox {_OF} and state = 'pending' and body is null",  # noqa: S608
                *values_of(row.key),
            )
        )
