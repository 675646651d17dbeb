"""gateway.trainings: what somebody asked for, from the question to the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from doppel.database import Database
from proto.dataset import DatasetSummary
from services.gateway.repository.rules import PERSONAS_BESIDE, RUNS_TODAY

Full = Literal["runs", "personas"]  # which of a workspace's rules says no


@dataclass(frozen=True)
class Training:
    """One `/doppel train`."""

    request_id: UUID
    team_id: str
    user_id: str
    run_id: UUID
    asked_by: str
    api_app_id: str
    channel: str
    state: Literal["asking", "scraping", "training", "done"]
    requested_at: datetime
    outcome: dict[str, Any] | None = None
    cancelled: bool = False

    @classmethod
    def of(cls, record: asyncpg.Record) -> "Training":
        """From ``select *``."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__})


class Trainings:
    """gateway.trainings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, training: Training, *, runs_a_day: int, personas: int) -> Training | Full:
        """Insert unless it is there, or the workspace has used what its rules allow; returns what is there."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended($1, 2))", training.team_id
            )
            if await connection.fetchval(
                "select true from gateway.trainings where request_id = $1", training.request_id
            ):
                pass
            elif await connection.fetchval(RUNS_TODAY, training.team_id) >= runs_a_day:
                return "runs"
            elif await connection.fetchval(PERSONAS_BESIDE, training.team_id, training.user_id) >= personas:
                return "personas"
            else:
                await connection.execute(
                    """insert into gateway.trainings
                           (request_id, team_id, user_id, run_id, asked_by, api_app_id, channel)
                       values ($1, $2, $3, $4, $5, $6, $7)""",
                    training.request_id,
                    training.team_id,
                    training.user_id,
                    training.run_id,
                    training.asked_by,
                    training.api_app_id,
                    training.channel,
                )
        return await self.fetch(training.request_id) or training

    async def fetch(self, request_id: UUID) -> Training | None:
        """By the id that its scrape and its run share."""
        record = await self._database.fetchrow(
            "select * from gateway.trainings where request_id = $1", request_id
        )
        return None if record is None else Training.of(record)

    async def advance(self, request_id: UUID, state: Literal["scraping", "training"]) -> None:
        """Go on, never back."""
        await self._database.execute(
            """update gateway.trainings set state = $2, updated_at = now(), started_at = coalesce(started_at, now())
               where request_id = $1 and (state = 'asking' or (state = 'scraping' and $2 = 'training'))""",
            request_id,
            state,
        )

    async def finish(self, request_id: UUID, outcome: Mapping[str, Any], *, cancelled: bool = False) -> None:
        """Keep what its progress message says in the end; the first outcome stays."""
        await self._database.execute(
            """update gateway.trainings set state = 'done', outcome = $2, cancelled = $3, updated_at = now()
               where request_id = $1 and state <> 'done'""",
            request_id,
            dict(outcome),
            cancelled,
        )

    async def fetch_open(self, team_id: str, user_id: str) -> list[Training]:
        """What is under way for a persona, the newest first; what hung for a day counts no more."""
        records = await self._database.fetch(
            """select * from gateway.trainings
               where team_id = $1 and user_id = $2 and state <> 'done' and updated_at > now() - interval '1 day'
               order by requested_at desc""",
            team_id,
            user_id,
        )
        return [Training.of(record) for record in records]

    async def fetch_asked(self, team_id: str, asked_by: str) -> list[Training]:
        """What somebody asked for and is under way, the newest first."""
        records = await self._database.fetch(
            """select * from gateway.trainings
               where team_id = $1 and asked_by = $2 and state <> 'done' and updated_at > now() - interval '1 day'
               order by requested_at desc""",
            team_id,
            asked_by,
        )
        return [Training.of(record) for record in records]

    async def fetch_newest(self, team_id: str, limit: int) -> list[Training]:
        """The last trainings of a workspace that are not over."""
        records = await self._database.fetch(
            """select * from gateway.trainings
               where team_id = $1 and state <> 'done' and updated_at > now() - interval '1 day'
               order by requested_at desc limit $2""",
            team_id,
            limit,
        )
        return [Training.of(record) for record in records]

    async def asked_by(self, run_id: UUID) -> str | None:
        """Who had that version trained."""
        return await self._database.fetchval(
            "select asked_by from gateway.trainings where run_id = $1", run_id
        )

    async def dataset_summary(self, run_id: UUID) -> DatasetSummary | None:
        """The numbers of what a run learnt from; they are the scraper's."""
        summary = await self._database.fetchval(
            """select d.summary from trainer.runs r join scraper.datasets d using (dataset_id)
               where r.run_id = $1""",
            run_id,
        )
        return None if summary is None else DatasetSummary.model_validate(summary)

    async def may_tell(self, request_id: UUID, stage: int, every_s: float) -> Training | None:
        """Take the turn to change the progress message; None: done, further already, or changed a moment ago."""
        record = await self._database.fetchrow(
            """update gateway.trainings set updated_at = now(), shown = $2
               where request_id = $1 and state <> 'done'
                 and (shown < $2 or (shown = $2 and updated_at < now() - make_interval(secs => $3)))
               returning *""",
            request_id,
            stage,
            every_s,
        )
        return None if record is None else Training.of(record)
