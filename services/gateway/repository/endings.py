"""What ends with an installation: messages that wait to be posted, questions, trainings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from doppel.database import Database


@dataclass(frozen=True)
class Ended:
    """What was under way: whoever works on it is told to stop."""

    posts: int
    questions: tuple[UUID, ...]  # at the engine
    trainings: tuple[tuple[UUID, UUID], ...]  # request and run


class Endings:
    """gateway.outbox and gateway.trainings of one workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_dead(self, team_id: str) -> bool:
        """Has it an installation that ended?"""
        return bool(
            await self._database.fetchval(
                "select true from gateway.installations where team_id = $1 and state = 'dead'", team_id
            )
        )

    async def end_work(self, team_id: str, code: str, outcome: Mapping[str, Any]) -> Ended:
        """End it. What is being posted this very moment is left to whoever posts it."""
        async with self._database.transaction() as connection:
            posts = await connection.fetch(
                """update gateway.outbox
                   set state = 'failed', body = jsonb_build_object('failed', $2::text), response_url = null,
                       replaces = null
                   where team_id = $1 and state = 'pending' returning request_id, asked_at""",
                team_id,
                code,
            )
            trainings = await connection.fetch(
                """update gateway.trainings set state = 'done', outcome = $2, cancelled = true, updated_at = now()
                   where team_id = $1 and state <> 'done' returning request_id, run_id""",
                team_id,
                dict(outcome),
            )
        return Ended(
            len(posts),
            tuple(row["request_id"] for row in posts if row["asked_at"] is not None),
            tuple((row["request_id"], row["run_id"]) for row in trainings),
        )
