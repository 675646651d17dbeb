"""A run has ended: what it left lying goes, and everybody hears of it."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from doppel.patience import patiently
from doppel.transient import is_transient
from proto import subjects
from proto.errors import Cancelled, LeaseLost, PermanentError, Refusal
from proto.train import RunState, TrainResult
from services.trainer.core.run import Run, ended_in, result_key
from services.trainer.handlers.collect import clean, collect
from services.trainer.handlers.options import Tools

log = logging.getLogger(__name__)

TIDY_FIRST_S: Final = 2.0  # of the five in which a cancel is answered
DATABASE_S: Final = 60.0


async def end(tools: Tools, run: Run, fence: int | None, error: Refusal | PermanentError) -> None:
    """Write that the run came to nothing, and tell. Fence None: nobody holds it. Raises LeaseLost: it isn't ours."""
    result = ended_in(run, error)
    written = await patiently(lambda: tools.runs.end(run, fence, result), "the database", DATABASE_S)
    if not written:
        raise LeaseLost(run.run_id)
    tools.gauges.ended(result.state.value)
    await tell_end(tools, run, result)


async def tell_end(tools: Tools, run: Run, result: TrainResult) -> None:
    """Tidy up and publish; a bucket that is away or slow keeps nobody from hearing the news.

    Its row says how the run ended, so doing it again does nothing more. Raises what passes by itself: what was not
    tidied then is, once the message comes back.
    """
    is_tidy = await _tidied_at_once(tools, run, result)
    await publish_result(tools, result)
    if not is_tidy:
        await _tidy(tools, run, result)


async def publish_result(tools: Tools, result: TrainResult) -> None:
    """The news, once: a repeat has the same id."""
    await tools.bus.publish(subjects.TRAIN_RESULT, result, key=result_key(result))


async def _tidied_at_once(tools: Tools, run: Run, result: TrainResult) -> bool:
    try:
        async with asyncio.timeout(TIDY_FIRST_S):
            await _tidy(tools, run, result)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("not tidied yet", extra={"run_id": run.run_id, "error": type(error).__name__})
        return False
    return True


async def _tidy(tools: Tools, run: Run, result: TrainResult) -> None:
    keep = tools.options.adapters_kept
    if result.state is RunState.PUBLISHED:  # one more: an older one may be too many now
        await collect(tools.runs, tools.store, run.team_id, run.user_id, keep=keep, dry_run=False)
    else:
        await clean(tools.runs, tools.store, run.team_id, run.user_id, run.run_id)


@dataclass(frozen=True)
class Canceller:
    """`train.cancel.<run_id>`."""

    tools: Tools
    running: dict[UUID, asyncio.Event]

    async def on_cancel(self, run_id: UUID) -> None:
        """Stop a run: ours at once; one that waits here and now; another replica's, and one to come, by its row."""
        ours = self.running.get(run_id)
        if ours is not None:
            ours.set()
        try:
            await self.tools.runs.ask_to_stop(run_id)
            if ours is None:
                await self._end_waiting(run_id)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("cancel not written", extra={"run_id": run_id, "error": type(error).__name__})

    async def _end_waiting(self, run_id: UUID) -> None:
        """Between two holders, or still in the queue: nobody else would tell before its turn comes."""
        runs, queue = self.tools.runs, self.tools.queue
        if run := await runs.waiting(run_id):
            await end(self.tools, run, None, Cancelled())
        elif not await runs.is_known(run_id) and (asked := await queue.find(run_id)):
            await publish_result(self.tools, ended_in(asked.run, Cancelled()))
            await queue.drop(asked)
