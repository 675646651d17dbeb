"""What this machine does best, found by trying: bf16, torch.compile, keeping activations or computing them again.

A run decides once, at its first step; a resumed one repeats what was decided, else its numbers would differ.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from services.trainer.core.memory import must_recompute
from services.trainer.core.plan import Plan
from services.trainer.recipe.data import Example, MicroBatch, batch_of_step, micro_batches
from services.trainer.recipe.layers import Layer
from services.trainer.recipe.layout import Layout
from services.trainer.recipe.model import PersonaModel, is_lora, is_norm

BF16_GAIN = 1.15  # bf16 must be so much faster to be worth its noise
COMPILE_GAIN = 1.05
COMPILE_STEPS = 200  # compiling costs half a minute and more: shorter runs never win it back
PROBE_TOKENS = 768
PROBE_PARAMETERS = 20_000_000  # smaller models are fast enough either way
TRIES = 3  # the first one warms up


def choose(model: PersonaModel, examples: Sequence[Example], plan: Plan) -> tuple[bool, bool, bool]:
    """Whether to use bf16, to compile, to compute activations again."""
    batch = batch_of_step(examples, 0, batch_size=plan.batch_size, seed=plan.seed)
    micro = next(micro_batches(batch, tokens=min(PROBE_TOKENS, plan.micro_batch_tokens), device=model.device))
    bf16 = choose_bf16(model, micro, plan)
    return bf16, choose_compile(model, plan), choose_recompute(model, plan, bf16=bf16)


def apply(model: PersonaModel, *, bf16: bool, compiled: bool, recompute: bool) -> None:
    """Make the model so."""
    if bf16 and model.precision != "bf16":
        model.to_bf16()
    model.layers.checkpointing = recompute
    if compiled:
        model.layers.compile()


def choose_bf16(model: PersonaModel, micro: MicroBatch, plan: Plan) -> bool:
    """Whether bf16 pays: on a processor by timing one layer, since instruction sets, caches and threads all matter."""
    if model.precision == "bf16" or plan.precision != "auto":
        return model.precision == "bf16" or plan.precision == "bf16"
    if model.shape.parameter_count < PROBE_PARAMETERS or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    plain: nn.Module = copy.deepcopy(model.decoder.layers[0])  # type: ignore[index, assignment]
    half = copy.deepcopy(plain)
    for name, parameter in half.named_parameters():
        if not (is_lora(f".{name}") or is_norm(name)):
            parameter.data = parameter.data.to(torch.bfloat16)
    layout = Layout.of(micro.lengths, micro.shared, micro.tokens.device)
    turns = model.layers.turns(layout)
    hidden = torch.randn(len(layout.at), model.shape.hidden_size, generator=torch.Generator().manual_seed(0))

    def seconds(layer: Layer, x: Tensor) -> float:
        return fastest(lambda: layer(x.requires_grad_(), layout, turns).sum().backward())

    return seconds(Layer(plain), hidden) > BF16_GAIN * seconds(Layer(half), hidden.to(torch.bfloat16))


def choose_compile(model: PersonaModel, plan: Plan) -> bool:
    """By hand, or on a GPU for runs that are long enough to win back what compiling takes."""
    if plan.compile != "auto":
        return plan.compile == "on"
    return model.device == "cuda" and plan.step_count >= COMPILE_STEPS


def choose_recompute(model: PersonaModel, plan: Plan, *, bf16: bool) -> bool:
    """Where the activations of one pass would not fit beside the model."""
    if plan.recompute != "auto":
        return plan.recompute == "on"
    free = free_bytes(model.device)
    return free is not None and must_recompute(
        model.shape, plan.micro_batch_tokens, 2 if bf16 else 4, free_bytes=free
    )


def free_bytes(device: str, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that nobody uses; None where the system does not say."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return int(found) * 1024 if found else None


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the best of a few runs."""
    best = math.inf
    for _ in range(TRIES):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best
