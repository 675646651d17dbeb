"""`train.progress`: news that may be lost."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal, Protocol
from uuid import UUID

import nats.errors
import nats.js.errors

from doppel.bus import Publisher
from doppel.transient import is_transient
from proto import subjects
from proto.train import TrainProgress
from services.trainer.core.job import Progressed
from services.trainer.core.run import Asked, Run

log = logging.getLogger(__name__)

Stage = Literal["queued", "preparing", "training", "evaluating", "publishing"]


async def say_progress(
    bus: Publisher,
    run: Run,
    stage: Stage,
    *,
    fence: int = 0,
    event: Progressed | None = None,
    queue_position: int | None = None,
) -> None:
    """Publish how far a run is. A bus that is away must not end a training, so this never fails for it."""
    progress = TrainProgress(
        request_id=run.request_id,
        run_id=run.run_id,
        team_id=run.team_id,
        user_id=run.user_id,
        stage=stage,
        step=event.step if event else 0,
        total=event.total if event else 0,
        train_loss=event.train_loss if event else None,
        validation_loss=event.validation_loss if event else None,
        learning_rate=event.learning_rate if event else None,
        tokens_per_s=event.tokens_per_s if event else None,
        memory_bytes=event.memory_bytes if event else None,
        eta_s=event.eta_s if event else None,
        queue_position=queue_position,
    )
    try:
        await bus.publish(
            subjects.TRAIN_PROGRESS,
            progress,
            key=f"{run.run_id}/{fence}/{stage}/{queue_position or progress.step}",
        )
    except (OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error) as error:
        log.warning("progress not published", extra={"run_id": run.run_id, "error": type(error).__name__})


class Queue(Protocol):
    """Who waits for a trainer."""

    async def waiting(self) -> Sequence[Run]:
        """The next first."""
        ...

    async def find(self, run_id: UUID) -> Asked | None:
        """The request of that run, taken by a trainer or not."""
        ...

    async def drop(self, asked: Asked) -> None:
        """Nobody shall take it any more."""
        ...


async def tell_the_queue(bus: Publisher, queue: Queue, *, every_s: float) -> None:
    """While one trains, tell those who wait where they stand. What every trainer says alike is one message."""
    while True:
        try:
            for position, run in enumerate(await queue.waiting(), start=1):
                await say_progress(bus, run, "queued", queue_position=position)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("queue not told", extra={"error": type(error).__name__})
        await asyncio.sleep(every_s)
