"""From dataset size, model size and wishes to a validated plan of one run."""

import math
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from proto.body import Body
from proto.errors import DatasetTooSmall, PlanInvalid
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides
from services.trainer.core.shape import ModelShape

Device = Literal["cpu", "cuda"]
LARGE_MODEL_PARAMETERS = 1_000_000_000


class Plan(Body):
    """Everything that decides what a run computes; with the data and the seed it decides the weights."""

    lora_rank: PositiveInt
    lora_alpha: PositiveFloat
    learning_rate: PositiveFloat
    epochs: PositiveInt
    step_count: PositiveInt
    warmup_steps: NonNegativeInt
    batch_size: PositiveInt  # samples per optimizer step
    micro_batch_tokens: PositiveInt  # padded tokens per forward pass
    max_seq_len: PositiveInt
    validation_steps: PositiveInt  # steps between two looks at the held-out loss; a checkpoint follows each
    patience: PositiveInt  # looks without improvement before stopping early
    validation_samples: PositiveInt  # at most this many are measured at each look
    test_samples: PositiveInt  # and at the end, for the gate
    weight_decay: float = 0.01
    gradient_norm: PositiveFloat = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: NonNegativeInt = 0


class Preset(Body):
    """What a kind of model on a kind of device starts from."""

    lora_rank: PositiveInt
    lora_alpha: PositiveFloat
    learning_rate: PositiveFloat
    batch_size: PositiveInt
    epochs: PositiveInt
    steps_per_epoch: PositiveInt  # at most
    max_steps: PositiveInt
    micro_batch_tokens: PositiveInt
    max_seq_len: PositiveInt
    test_samples: PositiveInt


SMALL_ON_CPU = Preset(
    lora_rank=16,
    lora_alpha=32,
    learning_rate=1e-3,
    batch_size=8,
    epochs=2,
    steps_per_epoch=200,
    max_steps=28,  # about two minutes of SmolLM2-135M on two cores
    micro_batch_tokens=768,
    max_seq_len=192,
    test_samples=24,
)
SMALL = SMALL_ON_CPU.model_copy(
    update={"max_steps": 400, "micro_batch_tokens": 8192, "max_seq_len": 1024, "test_samples": 256}
)
LARGE = Preset(
    lora_rank=32,
    lora_alpha=64,
    learning_rate=3e-4,
    batch_size=128,
    epochs=2,
    steps_per_epoch=200,
    max_steps=400,
    micro_batch_tokens=2048,
    max_seq_len=2048,
    test_samples=256,
)
LOOK_AT_LEAST_EVERY = 25  # steps; a killed worker costs no more than these
STEPS_PER_EPOCH_AT_LEAST = 16  # a small dataset gets a smaller batch rather than three steps


def plan_run(
    samples: SampleCounts,
    shape: ModelShape,
    overrides: RecipeOverrides,
    *,
    user_id: str,
    device: Device,
    max_lora_rank: int,
    min_samples: int,
) -> Plan:
    """Choose what the request left open. Raises DatasetTooSmall and PlanInvalid."""
    if samples.train < min_samples or not samples.validation or not samples.test:
        raise DatasetTooSmall(user_id, samples.total, min_samples)
    preset = preset_for(shape, device)
    rank = overrides.lora_rank or min(preset.lora_rank, max_lora_rank)
    if rank > max_lora_rank:
        raise PlanInvalid(
            f"lora_rank {rank} is more than this deployment serves; use at most {max_lora_rank}."
        )
    if overrides.max_seq_len and overrides.max_seq_len > shape.max_positions:
        raise PlanInvalid(
            f"max_seq_len {overrides.max_seq_len} is more than the base model reads; "
            f"use at most {shape.max_positions}."
        )
    batch_size = min(overrides.batch_size or _batch_size(preset, samples.train), samples.train)
    epochs = overrides.epochs or preset.epochs
    steps_per_epoch = math.ceil(samples.train / batch_size)
    step_count = steps_per_epoch * epochs
    if overrides.epochs is None:
        step_count = min(step_count, preset.steps_per_epoch * epochs, preset.max_steps)
    if overrides.max_steps is not None:
        step_count = min(overrides.max_steps, step_count) if overrides.epochs else overrides.max_steps
    warmup_ratio = 0.1 if overrides.warmup_ratio is None else overrides.warmup_ratio
    return Plan(
        lora_rank=rank,
        lora_alpha=overrides.lora_alpha or preset.lora_alpha * rank / preset.lora_rank,
        learning_rate=overrides.learning_rate or preset.learning_rate,
        epochs=max(epochs, math.ceil(step_count / steps_per_epoch)),
        step_count=step_count,
        warmup_steps=min(round(step_count * warmup_ratio), step_count - 1),
        batch_size=batch_size,
        micro_batch_tokens=preset.micro_batch_tokens,
        max_seq_len=overrides.max_seq_len or min(preset.max_seq_len, shape.max_positions),
        validation_steps=min(max(2, math.ceil(step_count / 3)), LOOK_AT_LEAST_EVERY),
        patience=2,
        validation_samples=max(1, preset.test_samples // 2),
        test_samples=preset.test_samples,
        seed=overrides.seed or 0,
    )


def preset_for(shape: ModelShape, device: Device) -> Preset:
    """Large models take DoppelBot's own numbers; small ones learn a voice faster with a higher rate."""
    if shape.parameter_count >= LARGE_MODEL_PARAMETERS:
        return LARGE
    return SMALL if device == "cuda" else SMALL_ON_CPU


def _batch_size(preset: Preset, train_samples: int) -> int:
    """The preset's batch, halved until an epoch has enough steps to learn from."""
    batch_size = preset.batch_size
    while batch_size > 8 and train_samples / batch_size < STEPS_PER_EPOCH_AT_LEAST:
        batch_size //= 2
    return batch_size


def is_source_allowed(source: str, *, api_allowed: bool) -> bool:
    """May a dataset cut from such a corpus be trained on? Slack's API only with the operator's word."""
    return source != "api" or api_allowed
