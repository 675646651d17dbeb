"""python -m tests.integration.parity.engine_child JOB ANSWERS

One engine as the service starts it, in a process of its own: vLLM's processes import the module that started them, and
under pytest that would be pytest. Reads a `Job`, asks everything at once, so that base and adapter share their batches,
and writes the answers.
"""

import asyncio
import json
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from services.inference.adapters.engine import FIRST_ID, ZERO_ID, LoraFolder, VllmEngine, start_engine
from services.inference.adapters.zero_adapter import write_zero_adapter
from services.inference.core.plan import Drawing
from services.inference.core.shape import BaseShape
from services.inference.plugin import announce
from services.inference.settings import InferenceSettings, set_engine_environment

LIKELIEST: Final = 20  # as many as vLLM tells of by default
SLOTS: Final = 2
ANSWER_S: Final = 120


@dataclass(frozen=True)
class Job:
    """What to ask of which model: ids by name, each of the base and of the adapter."""

    model: str
    adapter: str
    scratch: str
    context: int
    new_tokens: int
    prompts: list[list[int]]


@dataclass(frozen=True)
class Answer:
    """Log-probabilities by token id: of each prompt token but the first, then of each new one."""

    prompt: list[dict[int, float]]
    written: list[dict[int, float]]
    ids: list[int]
    text: str


async def main() -> None:
    """Start, ask, end."""
    job, answers = Job(**json.loads(Path(sys.argv[1]).read_bytes())), Path(sys.argv[2])
    model, scratch = Path(job.model), Path(job.scratch)
    settings = InferenceSettings(
        cache_dir=scratch,
        engine_dtype="float32",
        context_tokens=job.context,
        generate_loops=2 * len(job.prompts),
        adapter_slots=SLOTS,
    )
    zero = LoraFolder(ZERO_ID, "zero", scratch / "zero")
    write_zero_adapter(zero.folder, BaseShape.parse((model / "config.json").read_bytes()))
    announce(scratch / "plugin")
    set_engine_environment(settings)
    raw = start_engine(settings, model, job.context)
    trained = LoraFolder(FIRST_ID, "trained", Path(job.adapter))
    with closing(VllmEngine(raw, job.context, zero)) as engine:
        async with asyncio.timeout(ANSWER_S), asyncio.TaskGroup() as group:
            asked = {
                name: [group.create_task(answer(engine, raw, ids, job, lora)) for ids in job.prompts]
                for name, lora in (("base", zero), ("adapter", trained))
            }
        del raw
    found = {name: [asdict(task.result()) for task in tasks] for name, tasks in asked.items()}
    answers.write_text(json.dumps(found), encoding="utf-8")


async def answer(engine: VllmEngine, raw: Any, ids: list[int], job: Job, lora: LoraFolder) -> Answer:
    """First as the service asks, then the same of the engine behind it, with the numbers."""
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.sampling_params import RequestOutputKind

    name = f"{lora.name}/{job.prompts.index(ids)}"
    drawing = Drawing(job.new_tokens, 0.0, 1.0, 1.0, (), (), 0)
    completion = await engine.generate(name, ids, drawing, lora, lambda _: None)
    parameters = SamplingParams(
        max_tokens=job.new_tokens,
        temperature=0.0,
        ignore_eos=True,
        prompt_logprobs=LIKELIEST,
        logprobs=LIKELIEST,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
    request = LoRARequest(lora.name, lora.number, str(lora.folder))
    stream = raw.generate({"prompt_token_ids": ids}, parameters, f"{name}/numbers", lora_request=request)
    (output,) = [output async for output in stream]
    written = output.outputs[0]
    return Answer(
        prompt=[_plain(at) for at in output.prompt_logprobs[1:]],
        written=[_plain(at) for at in written.logprobs],
        ids=list(written.token_ids),
        text=completion.text,
    )


def _plain(at: Any) -> dict[int, float]:
    return {token: entry.logprob for token, entry in at.items()}


if __name__ == "__main__":  # the engine's processes import this module too
    asyncio.run(main())
