"""python -m bench.inference_straight SOCKET JOB

What the bus is measured beside: vLLM's AsyncLLMEngine with the service's own settings and plugin, asked in its own
process, with prompts that are encoded before the clock runs. Each line on the socket is a `Traffic`, each answer a
`Run`.
"""

import asyncio
import itertools
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bench.inference_traffic import SYSTEM, Ask, Run, Served, drive
from doppel.basemodel.prompt import PromptEncoder
from services.inference.adapters.engine import FIRST_ID, start_engine
from services.inference.core.plan import plan_turns
from services.inference.plugin import announce
from services.inference.settings import InferenceSettings, set_engine_environment

LINE_BYTES = 16 * 1024 * 1024


class Job(BaseModel):
    """What to start: settings come from the environment, as the service's do."""

    model: Path
    adapters: list[Path]
    context: int
    plugin: bool = True  # False: vLLM's own LoRA operation


class Traffic(BaseModel):
    """What to ask, and how much of it at once."""

    asks: list[Ask]
    in_flight: int


class Straight:
    """The engine, and how a program asks that has nothing between itself and it."""

    def __init__(self, engine: Any, job: Job) -> None:
        self.engine = engine
        self.encoder = PromptEncoder.from_folder(job.model)
        self.adapters = job.adapters
        self.numbers = itertools.count()

    async def run(self, traffic: Traffic) -> Run:
        """All of it."""
        ids = {ask.text: self.encoder.encode(plan_turns(ask.turns, SYSTEM)) for ask in traffic.asks}
        return await drive(partial(self.answer, ids), traffic.asks, traffic.in_flight)

    async def answer(self, ids: dict[str, list[int]], ask: Ask) -> Served:
        """One question, its tokens one by one."""
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest
        from vllm.sampling_params import RequestOutputKind

        number = ask.persona + FIRST_ID
        lora = LoRARequest(f"persona@{number}", number, str(self.adapters[ask.persona]))
        parameters = SamplingParams(
            max_tokens=ask.max_tokens,
            min_tokens=1,
            temperature=0.0,
            stop_token_ids=list(self.encoder.end_ids),
            output_kind=RequestOutputKind.DELTA,
        )
        began, first_s, tokens = time.perf_counter(), 0.0, 0
        prompt = {"prompt_token_ids": ids[ask.text]}
        request_id = f"straight-{next(self.numbers)}"
        async for output in self.engine.generate(prompt, parameters, request_id, lora_request=lora):
            first_s = first_s or time.perf_counter() - began
            tokens += len(output.outputs[0].token_ids)
        return Served(first_s=first_s, tokens=tokens)


async def serve(path: Path, straight: Straight) -> None:
    """Until whoever connected leaves."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            run = await straight.run(Traffic.model_validate_json(line))
            writer.write(run.model_dump_json().encode() + b"\n")
            await writer.drain()
        writer.close()
        done.set()

    async with await asyncio.start_unix_server(talk, path, limit=LINE_BYTES):
        await done.wait()


async def main(path: Path, job: Job) -> None:
    """Start the engine as the service does, then listen."""
    settings = InferenceSettings.read()
    if job.plugin:
        await asyncio.to_thread(announce, settings.cache_dir / "plugin")
    set_engine_environment(settings)
    engine = start_engine(settings, job.model, job.context)
    try:
        await serve(path, Straight(engine, job))
    finally:
        engine.shutdown(timeout=0)
        engine.shutdown = lambda: None  # its destructor calls it again, when it fails


if __name__ == "__main__":  # the engine's processes import this module too
    asyncio.run(main(Path(sys.argv[1]), Job.model_validate_json(Path(sys.argv[2]).read_bytes())))
