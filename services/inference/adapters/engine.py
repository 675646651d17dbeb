"""The engine: one vLLM `AsyncLLMEngine` with LoRA, behind the few calls we make of it.

Traps of the pinned version that this module keeps shut: a bad adapter first met by `generate` ends the engine, so it
is always added before, once (afterwards its folder stays as it is); a request without adapter gets another one's
weights on CPU, so it gets a zero adapter; an adapter whose loading failed stays half registered, so it is removed and
its number never used again.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from doppel.lifecycle import Lifecycle, Stopping
from proto.errors import AdapterCorrupt, RequestInvalid, TransientError
from services.inference.adapters.zero_adapter import write_zero_adapter
from services.inference.core.plan import Drawing, most_loops, plan_loops
from services.inference.core.shape import PROJECTIONS, BaseShape
from services.inference.plugin import announce
from services.inference.settings import InferenceSettings, set_engine_environment

log = logging.getLogger(__name__)

ZERO_ID: Final = 1  # the zero adapter's number; others follow
FIRST_ID: Final = 2
PROBE_ID: Final = "probe"
FAST_BFLOAT16: Final = ("avx512_bf16", "amx_bf16")


class EngineDied(TransientError):
    """The engine is gone; another replica, or the next process, does the work."""

    code = "engine_died"

    def __init__(self) -> None:
        super().__init__("The model stopped. It starts again by itself.", delay_s=1.0)


@dataclass(frozen=True)
class LoraFolder:
    """An adapter as the engine knows it: number, name and folder are new for each version and each download."""

    number: int
    name: str
    folder: Path


@dataclass(frozen=True)
class Completion:
    """What the engine answered."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt: computed before, for the same adapter


OnText = Callable[[str], None]


class Engine(Protocol):
    """What handlers ask of the engine."""

    @property
    def context(self) -> int:
        """Tokens of prompt and reply together."""
        ...

    async def generate(
        self,
        request_id: str,
        ids: Sequence[int],
        drawing: Drawing,
        adapter: LoraFolder | None,
        on_text: OnText,
    ) -> Completion:
        """One completion. Raises EngineDied, AdapterCorrupt, RequestInvalid; cancelling stops it in the engine too."""
        ...

    async def remove(self, adapter: LoraFolder) -> None:
        """Let go of an adapter that nobody uses any more."""
        ...

    async def forget_prompts(self) -> bool:
        """Empty attention's cache of what is not in use. False: all of it is."""
        ...

    @property
    def known(self) -> frozenset[int]:
        """Numbers of the adapters that it has met and not let go of."""
        ...


class VllmEngine:
    """The engine of this process."""

    def __init__(self, engine: Any, context: int, zero: LoraFolder) -> None:
        self._engine: Any = engine
        self._context = context
        self._zero = zero
        self._known: set[int] = set()  # adapters it has loaded once without complaint
        self._spoke_at = 0.0

    @property
    def context(self) -> int:
        """Tokens of prompt and reply together."""
        return self._context

    @property
    def loops(self) -> int:
        """How many requests it can work on at once, by what its attention cache holds."""
        config = self._engine.vllm_config
        cache_tokens = int(config.cache_config.num_gpu_blocks or 0) * int(config.cache_config.block_size or 0)
        return plan_loops(cache_tokens, self._context, config.scheduler_config.max_num_seqs - 1)

    @property
    def unfinished(self) -> int:
        """How many requests it has that are neither done nor stopped."""
        return 0 if self._engine is None else int(self._engine.output_processor.get_num_unfinished_requests())

    @property
    def silent_s(self) -> float:
        """How long ago it last generated something."""
        return time.monotonic() - self._spoke_at

    @property
    def is_dead(self) -> bool:
        """Whether its processes ended."""
        return self._engine is None or bool(self._engine.errored)

    async def generate(
        self,
        request_id: str,
        ids: Sequence[int],
        drawing: Drawing,
        adapter: LoraFolder | None,
        on_text: OnText,
    ) -> Completion:
        """One completion, by the zero adapter where none is named."""
        from vllm import SamplingParams
        from vllm.exceptions import VLLMClientError
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        lora = await self._loaded(adapter or self._zero)
        parameters = SamplingParams(
            max_tokens=drawing.max_tokens,
            min_tokens=1,  # an answer of nothing is none
            temperature=drawing.temperature,
            top_p=drawing.top_p,
            repetition_penalty=drawing.repetition_penalty,
            stop=list(drawing.stop),
            stop_token_ids=list(drawing.stop_ids),
            seed=drawing.seed,
            output_kind=RequestOutputKind.DELTA,
        )
        pieces: list[str] = []
        count, cached, reason = 0, 0, "stop"
        try:
            prompt = {"prompt_token_ids": list(ids)}
            stream = self._engine.generate(prompt, parameters, request_id, lora_request=lora)
            async with contextlib.aclosing(stream):
                async for output in stream:
                    piece = output.outputs[0]
                    self._spoke_at = time.monotonic()
                    cached = max(cached, output.num_cached_tokens or 0)
                    count += len(piece.token_ids)
                    reason = piece.finish_reason or reason
                    if piece.text:
                        pieces.append(piece.text)
                        on_text(piece.text)
        except EngineDeadError as error:
            raise EngineDied from error
        except VLLMClientError as error:
            raise RequestInvalid("The model can't take that request as it is.") from error
        if reason == "abort":
            raise EngineDied
        ended: Literal["stop", "length"] = "length" if reason == "length" else "stop"
        return Completion("".join(pieces), ended, len(ids), count, cached)

    async def _loaded(self, adapter: LoraFolder) -> Any:
        """Make sure that the engine has met it before a request could.

        Asked once only: the question waits for a step of the running batch, and the answer can't change while the
        folder stays. What the engine has forgotten meanwhile it reads from there by itself.
        """
        from vllm.lora.request import LoRARequest
        from vllm.v1.engine.exceptions import EngineDeadError

        lora = LoRARequest(adapter.name, adapter.number, str(adapter.folder))
        if adapter.number in self._known:
            return lora
        try:
            await self._engine.add_lora(lora)
        except EngineDeadError as error:
            raise EngineDied from error
        except Exception as error:
            if self.is_dead:
                raise EngineDied from error
            self._known.add(adapter.number)  # after a failure it may be registered all the same
            await self.remove(adapter)
            raise AdapterCorrupt("the engine can't load the adapter") from error
        self._known.add(adapter.number)
        return lora

    async def remove(self, adapter: LoraFolder) -> None:
        """Let go of an adapter; one it never met is fine."""
        from vllm.v1.engine.exceptions import EngineDeadError

        if adapter.number not in self._known:
            return
        self._known.discard(adapter.number)
        try:
            await self._engine.remove_lora(adapter.number)
        except EngineDeadError as error:
            raise EngineDied from error

    @property
    def known(self) -> frozenset[int]:
        """Numbers of the adapters that it has met and not let go of, but for the zero adapter's."""
        return frozenset(self._known - {ZERO_ID})

    async def forget_prompts(self) -> bool:
        """Empty attention's cache, which it keys by tokens and adapter. False: running requests hold some of it."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            return bool(await self._engine.reset_prefix_cache())
        except EngineDeadError as error:
            raise EngineDied from error

    async def probe(self) -> None:
        """Generate one token. Raises EngineDied."""
        drawing = Drawing(1, 0.0, 1.0, 1.0, (), (), 0)
        await self.generate(PROBE_ID, [0], drawing, None, lambda _: None)

    def close(self) -> None:
        """End the engine's processes: after the drain nothing runs any more."""
        logging.getLogger("vllm").setLevel(logging.ERROR)  # it warns of what is meant
        engine, self._engine = self._engine, None
        engine.shutdown(timeout=0)
        engine.shutdown = lambda: (
            None
        )  # its destructor calls it again, at the interpreter's end, when it fails


@contextlib.asynccontextmanager
async def open_engine(
    lifecycle: Lifecycle, settings: InferenceSettings, model: Path, shape: BaseShape, scratch: Path
) -> AsyncGenerator[VllmEngine]:
    """Start the engine off the loop, most of a minute; end it with the block. Raises Stopping on SIGTERM meanwhile."""
    context = min(settings.context_tokens, shape.context)
    zero = LoraFolder(ZERO_ID, f"zero@{ZERO_ID}", scratch / "zero")
    await asyncio.to_thread(write_zero_adapter, zero.folder, shape)
    await asyncio.to_thread(announce, scratch / "plugin")
    set_engine_environment(settings)
    with ThreadPoolExecutor(1, thread_name_prefix="engine") as thread:
        started = asyncio.get_running_loop().run_in_executor(thread, start_engine, settings, model, context)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(lifecycle.stopping())
            await asyncio.wait({started, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                _end_children()  # then the start fails, and its thread ends
                await asyncio.wait({started})
            stopping.cancel()
        if lifecycle.is_stopping:
            if started.exception() is None:
                started.result().shutdown()
            raise Stopping
        engine = VllmEngine(started.result(), context, zero)
        del started
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


def _end_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()


def start_engine(settings: InferenceSettings, model: Path, context: int) -> Any:
    """Import vLLM and start its processes (blocking)."""
    logging.getLogger("vllm").setLevel(logging.WARNING)  # below, it tells of requests
    from vllm import AsyncEngineArgs, AsyncLLMEngine
    from vllm.model_executor.models import ModelRegistry
    from vllm.model_executor.models.llama import LlamaForCausalLM
    from vllm.platforms import current_platform

    on_cpu = bool(current_platform.is_cpu())
    # Else vLLM starts one more process, only to import this class and look at it: a third of the start.
    ModelRegistry.register_model("LlamaForCausalLM", LlamaForCausalLM)
    arguments = AsyncEngineArgs(
        model=str(model),
        dtype=choose_dtype(settings.engine_dtype, cpu_flags() if on_cpu else None),
        max_model_len=context,
        max_num_seqs=1 + (settings.generate_loops or most_loops(on_gpu=not on_cpu)),  # one for the probe
        enable_prefix_caching=True,
        gpu_memory_utilization=settings.engine_gpu_share,
        enable_lora=True,
        max_loras=settings.adapter_slots + 1,  # one for the zero adapter
        max_cpu_loras=max(settings.adapters_in_memory, settings.adapter_slots + 1),
        max_lora_rank=settings.max_lora_rank,
        lora_target_modules=[
            name.rpartition(".")[2] for name in PROJECTIONS
        ],  # nothing is added to the logits
        enforce_eager=on_cpu,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        generation_config="vllm",  # sampling defaults are ours, not the folder's
    )
    engine = AsyncLLMEngine.from_engine_args(arguments)
    log.info("engine started", extra={"cpu": on_cpu, "dtype": arguments.dtype, "context": context})
    return engine


def choose_dtype(wanted: str, flags: str | None) -> Any:
    """bfloat16 halves memory everywhere, but computes fast only where the processor knows it. `flags` None: a GPU."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if flags is None or any(flag in flags for flag in FAST_BFLOAT16) else "float32"


def cpu_flags() -> str:
    """What the processor can do; empty where the kernel does not say."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
