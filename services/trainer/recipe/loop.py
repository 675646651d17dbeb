"""The training loop, in the order in which things happen. Reporting and storing hang on callbacks."""

import math
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from services.trainer.core.job import Progressed
from services.trainer.core.plan import Plan
from services.trainer.core.schedule import learning_rate
from services.trainer.recipe import checkpoint
from services.trainer.recipe.checkpoint import Position
from services.trainer.recipe.choices import apply, choose
from services.trainer.recipe.control import Control, Stop
from services.trainer.recipe.data import Example, batch_of_step, micro_batches
from services.trainer.recipe.evaluate import held_out_loss
from services.trainer.recipe.model import PersonaModel

RETRY_SCALE = 0.3  # of the learning rate, after the first time that a loss is no number
DIVERGED_NATS = 1.0  # held-out loss so far above the plain base's: it unlearns, and more steps won't help
BETAS = (0.9, 0.95)


class Diverged(Exception):
    """The loss stopped being a number, twice."""


class OutOfMemory(Exception):
    """Not even one sample at a time fits."""


class _NotFinite(Exception):
    pass


def train(
    model: PersonaModel,
    train_examples: Sequence[Example],
    validation_examples: Sequence[Example],
    plan: Plan,
    *,
    work_folder: Path,
    resume_folder: Path | None,
    report: Callable[[Progressed], None],
    store: Callable[[int, Path], None],
    control: Control,
) -> Position:
    """Train until the plan or the patience ends; the model then holds the best adapter seen.

    Raises Diverged, OutOfMemory, Stop (after a last checkpoint), CheckpointCorrupt.
    """
    parameters = list(model.lora_parameters().values())
    optimizer = torch.optim.AdamW(parameters, lr=0.0, betas=BETAS, weight_decay=plan.weight_decay, fused=True)
    if resume_folder is None:
        bf16, compiled, recompute = choose(model, train_examples, plan)
        apply(model, bf16=bf16, compiled=compiled, recompute=recompute)
        position = Position(
            model.precision,
            plan.micro_batch_tokens,
            model.base_sha256,
            compiled=compiled,
            recompute=recompute,
        )
        best_lora = model.lora_state()
    else:
        position, best_lora = checkpoint.load(resume_folder, model, optimizer)
        position.micro_batch_tokens = min(position.micro_batch_tokens, plan.micro_batch_tokens)
        apply(
            model,
            bf16=position.precision == "bf16",
            compiled=position.compiled,
            recompute=position.recompute,
        )

    def save_checkpoint() -> None:
        folder = work_folder / "checkpoints" / f"{position.step:08d}"
        checkpoint.save(folder, model, optimizer, position, best_lora)
        store(position.step, folder)

    def smaller_passes(error: RuntimeError, samples: Sequence[Example]) -> None:
        """Half the pass, twice as many of them: the same step. At one sample, keep no activations; then give up."""
        if not is_out_of_memory(error):
            raise error
        optimizer.zero_grad(set_to_none=True)
        if position.micro_batch_tokens > min(map(len, samples)):
            position.micro_batch_tokens //= 2
        elif not position.recompute:
            position.recompute = model.layers.checkpointing = True
        else:
            raise OutOfMemory from error
        if model.device == "cuda":
            torch.cuda.empty_cache()

    def start_again() -> None:
        """Back to the best adapter with a fresh optimizer and a lower rate; the step goes back with it. Once."""
        if position.retries:
            raise Diverged
        position.retries, position.learning_rate_scale = 1, RETRY_SCALE
        position.step, position.looks_without_gain = position.best_step, 0
        model.load_lora_state(best_lora)
        optimizer.state.clear()

    began, first_step, earlier_s = time.monotonic(), position.step, position.train_s
    train_loss: float | None = None
    validation_loss: float | None = position.best_loss if math.isfinite(position.best_loss) else None
    tokens_seen = 0
    try:
        while True:
            position.train_s = earlier_s + time.monotonic() - began

            # 1. Now and then: how well does it do on words it does not train on? Step 0 measures the plain base.
            done = position.step >= plan.step_count
            if position.validated_step != position.step and (
                done or position.step % plan.validation_steps == 0
            ):
                try:
                    validation_loss = held_out_loss(
                        model, validation_examples, tokens=position.micro_batch_tokens, control=control
                    )
                except RuntimeError as error:
                    smaller_passes(error, validation_examples)
                    continue
                if position.base_loss is None:
                    position.base_loss = validation_loss
                elif not validation_loss < position.base_loss + DIVERGED_NATS:  # NaN, too
                    start_again()
                    continue
                if validation_loss < position.best_loss:
                    position.best_loss, position.best_step = validation_loss, position.step
                    position.looks_without_gain, best_lora = 0, model.lora_state()
                else:
                    position.looks_without_gain += 1
                position.validated_step = position.step
                save_checkpoint()
            if done or position.looks_without_gain >= plan.patience:
                break
            control.check()

            # 2. One optimizer step. Memory and numbers may fail; each has one remedy.
            batch = batch_of_step(train_examples, position.step, batch_size=plan.batch_size, seed=plan.seed)
            rate = position.learning_rate_scale * learning_rate(
                position.step,
                peak=plan.learning_rate,
                warmup_steps=plan.warmup_steps,
                step_count=plan.step_count,
            )
            try:
                train_loss = take_step(
                    model, optimizer, parameters, batch, plan, position.micro_batch_tokens, rate
                )
            except _NotFinite:
                start_again()
                continue
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                smaller_passes(error, batch)
                continue
            position.step += 1
            tokens_seen += sum(len(example) for example in batch)

            # 3. Say how far it is.
            elapsed_s = time.monotonic() - began
            per_step_s = elapsed_s / max(1, position.step - first_step)
            report(
                Progressed(
                    stage="training",
                    step=position.step,
                    total=plan.step_count,
                    train_loss=train_loss,
                    validation_loss=validation_loss,
                    learning_rate=rate,
                    tokens_per_s=tokens_seen / elapsed_s,
                    memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                    eta_s=per_step_s * (plan.step_count - position.step),
                )
            )
    except Stop:  # raised between steps only, so the state is whole
        save_checkpoint()
        raise
    model.load_lora_state(best_lora)
    return position


def take_step(
    model: PersonaModel,
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[Tensor],
    batch: Sequence[Example],
    plan: Plan,
    micro_batch_tokens: int,
    rate: float,
) -> float:
    """Mean gradient over the batch's persona tokens, clipped, one AdamW step. Returns nats per persona token."""
    optimizer.zero_grad(set_to_none=True)
    trained_tokens = sum(example.trained_tokens for example in batch)  # never 0: such samples are not loaded
    total = 0.0
    for micro in micro_batches(batch, tokens=micro_batch_tokens, device=model.device):
        loss = model.summed_loss(micro) / trained_tokens
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(parameters, plan.gradient_norm)
    if not (math.isfinite(total) and math.isfinite(norm.item())):
        raise _NotFinite
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return total


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class for it; the CPU's allocator only a sentence."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
