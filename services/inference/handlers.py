"""What inference does for each subject: decide, generate, publish the fact."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol, TypeVar
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Histogram

from doppel.basemodel.prompt import PromptEncoder
from doppel.bus import Delivery, Publisher
from doppel.bus.names import ONE_OUTCOME
from doppel.transient import is_transient
from proto import subjects
from proto.conversation import Turn
from proto.errors import AdapterMissing, Cancelled, DeadlinePassed, DoppelError
from proto.generate import GenerateProgress, GenerateRequest, GenerateResult
from proto.train import AdapterRef, RunState, TrainResult
from services.inference.adapters.adapter_store import AdapterStore, LoadedAdapter
from services.inference.adapters.beside import beside
from services.inference.adapters.cancels import Cancels
from services.inference.adapters.engine import Completion, Engine, EngineDied
from services.inference.adapters.tokens import token_stream
from services.inference.core.deadline import time_left
from services.inference.core.plan import has_own_system, plan_drawing, plan_room, plan_turns

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
SHORT_CHARACTERS: Final = 4000  # a millisecond of tokenizing
T = TypeVar("T")
Stage = Literal["loading", "generating"]


class ActiveAdapters(Protocol):
    """Where the active adapter of a persona is looked up."""

    async def fetch_active_adapter(self, team_id: str, user_id: str) -> AdapterRef | None:
        """The persona's active adapter, or None."""
        ...


class Metrics:
    """Figures of this replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter("doppel_completions", "Requests by outcome.", ["outcome"], registry=registry)
        self.tokens = Counter("doppel_completion_tokens", "Tokens generated.", registry=registry)
        self.prompt_tokens = Counter("doppel_prompt_tokens", "Tokens of prompts.", registry=registry)
        self.cached_tokens = Counter(
            "doppel_prompt_tokens_cached", "Of these, known from a prompt before.", registry=registry
        )
        self.seconds = Histogram(
            "doppel_generate_seconds",
            "From taking a request up to its text.",
            registry=registry,
            buckets=(0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320),
        )

    def note(self, result: GenerateResult) -> None:
        """Count an answer."""
        self.outcomes.labels("answered").inc()
        self.tokens.inc(result.completion_tokens)
        self.prompt_tokens.inc(result.prompt_tokens)
        self.seconds.observe(result.generate_s or 0)


@dataclass(frozen=True)
class Handlers:
    """All that inference does."""

    bus: Publisher
    engine: Engine
    encoder: PromptEncoder
    store: AdapterStore
    active: ActiveAdapters
    cancels: Cancels
    metrics: Metrics
    base_system: str
    default_wait: timedelta
    on_engine_died: Callable[[], None]

    async def on_generate_request(self, request: GenerateRequest, delivery: Delivery) -> None:
        """Answer as the persona, or as the plain base model where none is named."""
        request_id = request.request_id or delivery.id
        async with delivery.heartbeat():
            try:
                result = await self._answer(request, request_id)
                await self.bus.publish(subjects.GENERATE_RESULT, result, key=f"{request_id}/{ONE_OUTCOME}")
            except EngineDied:
                self.on_engine_died()
                self.metrics.outcomes.labels("engine_died").inc()
                raise
            except DoppelError as error:
                self.metrics.outcomes.labels(error.code).inc()
                raise
        self.metrics.note(result)

    async def on_train_result(self, result: TrainResult) -> None:
        """Bring a new adapter to disk before anybody asks, and let the older ones of that persona go.

        Best effort: the first question would fetch it too.
        """
        if result.state is not RunState.PUBLISHED or result.adapter is None:
            return
        try:
            await self.store.replace(result.adapter, result.team_id, result.user_id)
        except Exception as error:  # noqa: BLE001  whatever is wrong is said to the first who asks
            log.warning("not prefetched", extra={"run_id": str(result.run_id), "error": type(error).__name__})

    async def _answer(self, request: GenerateRequest, request_id: UUID) -> GenerateResult:
        """Generate, or say why not; nothing goes on past the deadline or after a stop."""
        started = time.monotonic()
        left = time_left(request, default=self.default_wait, now=datetime.now(UTC))
        timeout = asyncio.timeout(left.total_seconds())
        try:
            async with timeout:
                persona = (request.team_id, request.user_id) if request.user_id else None
                with self.cancels.watching(request_id, timeout, persona):
                    completion, adapter = await self._complete(request, request_id)
                    self.metrics.cached_tokens.inc(completion.cached_tokens)
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise (Cancelled() if self.cancels.was_stopped(request_id) else DeadlinePassed()) from error
        return GenerateResult(
            request_id=request_id,
            team_id=request.team_id,
            user_id=request.user_id,
            text=completion.text.strip(),
            finish_reason=completion.finish_reason,
            run_id=adapter.manifest.run_id if adapter else None,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            generate_s=round(time.monotonic() - started, 3),
        )

    async def _complete(
        self, request: GenerateRequest, request_id: UUID
    ) -> tuple[Completion, LoadedAdapter | None]:
        if request.user_id is None:
            system = "" if has_own_system(request.turns) else self.base_system
            return await self._generate(request, request_id, system, None), None
        user_id = request.user_id
        ref = request.adapter or await self._patiently(lambda: self._active(request.team_id, user_id))
        try:
            return await self._as_persona(request, request_id, ref, user_id)
        except AdapterMissing:
            newer = await self._patiently(lambda: self._active(request.team_id, user_id))
            if newer == ref:
                raise
            return await self._as_persona(request, request_id, newer, user_id)

    async def _as_persona(
        self, request: GenerateRequest, request_id: UUID, ref: AdapterRef, user_id: str
    ) -> tuple[Completion, LoadedAdapter]:
        async with contextlib.AsyncExitStack() as stack:

            async def pin() -> LoadedAdapter:
                return await stack.enter_async_context(self.store.pinned(ref, request.team_id, user_id))

            if ref not in self.store:
                await stack.enter_async_context(beside(self._tell(request, request_id, "loading")))
            adapter = await self._patiently(pin)
            completion = await self._generate(request, request_id, adapter.manifest.system, adapter)
            return completion, adapter

    async def _generate(
        self, request: GenerateRequest, request_id: UUID, system: str, adapter: LoadedAdapter | None
    ) -> Completion:
        room = plan_room(request.sampling, self.engine.context)
        turns = plan_turns(request.turns, system) if system else request.turns
        ids = await self._encode(turns, room.prompt_tokens)
        drawing = plan_drawing(request.sampling, room, self.encoder.end_ids, request_id)
        lora = adapter.lora if adapter else None
        async with (
            beside(self._tell(request, request_id, "generating")),
            token_stream(self.bus, request_id) as on_text,
        ):
            return await self.engine.generate(str(request_id), ids, drawing, lora, on_text)

    async def _encode(self, turns: Sequence[Turn], room: int) -> list[int]:
        """Token ids of what fits. Long ones off the loop; for short ones the way to a thread is the longer one."""
        if sum(len(turn.content) for turn in turns) <= SHORT_CHARACTERS:
            return self.encoder.encode_fitting(turns, room)
        return await asyncio.to_thread(self.encoder.encode_fitting, turns, room)

    async def _active(self, team_id: str, user_id: str) -> AdapterRef:
        ref = await self.active.fetch_active_adapter(team_id, user_id)
        if ref is None:
            raise AdapterMissing(user_id)
        return ref

    async def _tell(self, request: GenerateRequest, request_id: UUID, stage: Stage) -> None:
        """Progress is a courtesy: where it can't be told, the answer goes on."""
        progress = GenerateProgress(
            request_id=request_id, team_id=request.team_id, user_id=request.user_id, stage=stage
        )
        try:
            await self.bus.publish(subjects.GENERATE_PROGRESS, progress, key=f"{request_id}/{stage}")
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("progress not told", extra={"error": type(error).__name__})

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Wait in place while somebody we need is away; the deadline around us ends it."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return await attempt()
            except EngineDied:
                raise
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("waiting for what is away", extra={"error": type(error).__name__})
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
