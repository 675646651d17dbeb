"""`train.request`: decide, hold the run, let it be trained, publish. Neither acks nor catches for the bus."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from doppel.basemodel.prompt import render_system
from doppel.bus import Delivery
from proto.errors import (
    BaseModelCorrupt,
    Cancelled,
    Crashed,
    DatasetMissing,
    NoConsent,
    PermanentError,
    Refusal,
    SourceNotAllowed,
    TrainingFailed,
    TransientError,
)
from proto.train import TrainRequest, TrainResult, run_id_of
from services.trainer.adapters.child import ChildKilled
from services.trainer.adapters.lease import watched
from services.trainer.core.job import DISK_FULL, NO_ROOM
from services.trainer.core.plan import is_source_allowed, plan_run
from services.trainer.core.run import MAX_LOST, Run, Withdrawn
from services.trainer.core.shape import ModelShape, parse_shape
from services.trainer.handlers.conclude import store_end, write_end
from services.trainer.handlers.ends import end, tell_end
from services.trainer.handlers.follow import follow
from services.trainer.handlers.hold import Hold, until_cancelled, until_stopped
from services.trainer.handlers.news import say_progress
from services.trainer.handlers.options import Attempt, Decided, Tools
from services.trainer.repository import Busy, KnownRun, Lease


@dataclass(frozen=True)
class Handlers:
    """What is done for a training, in the order in which it is done."""

    tools: Tools
    running: dict[UUID, asyncio.Event] = field(default_factory=dict)  # set: somebody has cancelled it

    async def on_train_request(self, request: TrainRequest, delivery: Delivery) -> None:
        """Train one persona, or go on with what an earlier delivery began."""
        assert request.request_id is not None  # filled in by the bus
        run = Run(
            run_id=run_id_of(request.request_id, request.user_id),
            request_id=request.request_id,
            team_id=request.team_id,
            user_id=request.user_id,
            requested_at=request.requested_at or delivery.stored_at,
        )
        async with delivery.heartbeat():
            known = await self.tools.runs.find(run)
            if known and known.result:  # the run has ended; only its news or its tidying may be missing
                await tell_end(self.tools, run, known.result)
                return
            cancelled = self.running.setdefault(run.run_id, asyncio.Event())
            try:
                result = await self._train(run, request, known, cancelled)
            finally:
                self.running.pop(run.run_id, None)
            await tell_end(self.tools, run, result)

    async def _train(
        self, run: Run, request: TrainRequest, known: KnownRun | None, cancelled: asyncio.Event
    ) -> TrainResult:
        runs, options = self.tools.runs, self.tools.options
        try:
            with no_room_is_final():
                async with watched(until_cancelled(cancelled), until_stopped(self.tools)):
                    decided = await self._decide(run, request, known)
        except (Refusal, PermanentError) as raised:
            if known is None:  # nothing was begun
                raise
            error = in_mid_run(run, raised)
            await end(self.tools, run, None, error)
            raise error from raised
        held = await runs.acquire(
            run, decided.dataset_id, decided.plan, base_model=decided.base.manifest.name
        )
        if isinstance(held, Busy):
            await say_progress(self.tools.bus, run, "queued", queue_position=1)
            raise TransientError("A training is under way.", delay_s=held.retry_s or options.queue_poll_s)
        async with self._ended_well(run, held):
            if held.lost >= MAX_LOST:
                raise Crashed
            with no_room_is_final():
                return await self._attempt(run, held, decided, cancelled)

    async def _decide(self, run: Run, request: TrainRequest, known: KnownRun | None) -> Decided:
        """Consent, dataset, base model, plan."""
        options = self.tools.options
        if await self.tools.runs.is_asked_to_stop(run.run_id):
            raise Cancelled
        if not await self.tools.runs.consents(run):
            raise NoConsent(run.user_id)
        dataset = await self.tools.runs.dataset(run, known.dataset_id if known else request.dataset_id)
        if dataset is None:
            raise DatasetMissing(run.user_id)
        if not is_source_allowed(dataset.source, api_allowed=options.api_allowed):
            raise SourceNotAllowed
        base = await self.tools.base_models.fetch(options.base_model)
        shape = await asyncio.to_thread(read_shape, base.folder)
        plan = (known and known.plan) or plan_run(
            dataset.samples,
            shape,
            request.overrides,
            user_id=run.user_id,
            device=options.device,
            max_lora_rank=options.max_lora_rank,
            min_samples=options.min_samples,
        )
        return Decided(plan, dataset.dataset_id, dataset.prefix, dataset.manifest_sha256, base, shape)

    async def _attempt(
        self, run: Run, lease: Lease, decided: Decided, cancelled: asyncio.Event
    ) -> TrainResult:
        store = self.tools.store
        work = await asyncio.to_thread(store.work_folder, run.run_id, lease.fence)
        try:
            hold = Hold(self.tools, run, lease.fence, cancelled)
            async with hold.kept():
                await say_progress(self.tools.bus, run, "preparing", fence=lease.fence)
                dataset = await store.dataset_manifest(decided.dataset_prefix, decided.dataset_sha256)
                system = render_system(dataset.person.name, self.tools.options.system_template)
                attempt = Attempt(run, lease, decided, dataset, system, work)
                finished = await follow(self.tools, attempt, hold)
                ending = await store_end(self.tools, attempt, finished)
            return await write_end(self.tools, attempt, ending)
        finally:
            await store.remove(work)

    @contextlib.asynccontextmanager
    async def _ended_well(self, run: Run, lease: Lease) -> AsyncGenerator[None]:
        """However an attempt ends, its row says so: ended for good, or free for the next worker."""
        crashed = False
        try:
            yield
        except (Refusal, PermanentError) as raised:
            error = in_mid_run(run, raised)
            await end(self.tools, run, lease.fence, error)
            raise error from raised
        except ChildKilled as error:
            crashed = error.crashed
            raise
        finally:
            await self.tools.runs.release(
                run, lease.fence, crashed=crashed
            )  # nothing where the run has ended


def in_mid_run(run: Run, error: Refusal | PermanentError) -> Refusal | PermanentError:
    """A consent that is gone while the run is under way cancels it."""
    return Withdrawn(run.user_id) if isinstance(error, NoConsent) else error


@contextlib.contextmanager
def no_room_is_final() -> Generator[None]:
    """A full disk of ours does not empty itself by trying again: say so. Raises TrainingFailed."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise TrainingFailed(DISK_FULL) from error


def read_shape(folder: Path) -> ModelShape:
    """The base model's numbers (blocking). Raises BaseModelCorrupt."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BaseModelCorrupt("config.json") from error
    return parse_shape(config)
