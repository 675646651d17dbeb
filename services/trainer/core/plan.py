"""From dataset size, model size and wishes to a validated plan of one run."""

import math
from difflib import get_close_matches
from typing import Final, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from proto.body import Body
from proto.errors import DatasetTooSmall, PlanInvalid
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides, UnusableOverrides
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
    micro_batch_tokens: PositiveInt  # tokens per forward pass
    max_seq_len: PositiveInt
    validation_steps: PositiveInt  # steps between two looks at the held-out loss; a checkpoint follows each
    patience: PositiveInt  # looks without improvement before stopping early
    validation_samples: PositiveInt  # at most this many are measured at each look
    test_samples: PositiveInt  # and at the end, for the gate
    weight_decay: NonNegativeFloat = 0.01
    gradient_norm: PositiveFloat = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"
    recompute: Literal["auto", "on", "off"] = "auto"
    seed: NonNegativeInt = 0


class Preset(Body):
    """What a kind of model on a kind of device starts from."""

    lora_rank: PositiveInt
    lora_alpha: PositiveFloat
    learning_rate: PositiveFloat
    batch_size: PositiveInt  # halved for small datasets, so that an epoch has `epoch_steps`
    epoch_steps: PositiveInt
    epochs: PositiveInt
    samples_twice: PositiveInt  # of a larger dataset only so many are shown again
    steps_per_epoch: PositiveInt  # at most
    micro_batch_tokens: PositiveInt
    max_seq_len: PositiveInt
    test_samples: PositiveInt


SMALL_ON_CPU = Preset(
    lora_rank=16,
    lora_alpha=32,
    learning_rate=1e-3,
    batch_size=32,
    epoch_steps=60,
    epochs=2,
    samples_twice=500,
    steps_per_epoch=1000,
    micro_batch_tokens=1536,
    max_seq_len=192,
    test_samples=48,
)
SMALL = SMALL_ON_CPU.model_copy(
    update={
        "epochs": 3,
        "samples_twice": 5000,
        "micro_batch_tokens": 8192,
        "max_seq_len": 1024,
        "test_samples": 256,
    }
)
LARGE = Preset(
    lora_rank=32,
    lora_alpha=64,
    learning_rate=3e-4,
    batch_size=128,
    epoch_steps=16,
    epochs=2,
    samples_twice=1_000_000,
    steps_per_epoch=200,
    micro_batch_tokens=2048,
    max_seq_len=2048,
    test_samples=256,
)
SMALLEST_BATCH = 8
LOOK_AT_LEAST_EVERY = 25  # steps; a killed worker costs no more than these


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
    check_overrides(overrides, shape, max_lora_rank=max_lora_rank)
    rank = overrides.lora_rank or min(preset.lora_rank, max_lora_rank)
    batch_size = min(overrides.batch_size or _batch_size(preset, samples.train), samples.train)
    step_count = _step_count(preset, overrides, samples.train, batch_size)
    warmup_ratio = 0.1 if overrides.warmup_ratio is None else overrides.warmup_ratio
    chosen = Plan(
        lora_rank=rank,
        lora_alpha=overrides.lora_alpha or preset.lora_alpha * rank / preset.lora_rank,
        learning_rate=overrides.learning_rate or preset.learning_rate,
        epochs=math.ceil(step_count / math.ceil(samples.train / batch_size)),
        step_count=step_count,
        warmup_steps=min(round(step_count * warmup_ratio), step_count - 1),
        batch_size=batch_size,
        micro_batch_tokens=preset.micro_batch_tokens,
        max_seq_len=overrides.max_seq_len or min(preset.max_seq_len, shape.max_positions),
        validation_steps=min(max(2, math.ceil(step_count / 3)), LOOK_AT_LEAST_EVERY),
        patience=2,
        validation_samples=max(1, preset.test_samples // 2),
        test_samples=preset.test_samples,
    )
    said = overrides.model_dump(exclude_none=True, include=set(AS_SAID))
    return Plan.model_validate(chosen.model_dump() | said)


AS_SAID: Final = (
    "weight_decay",
    "gradient_norm",
    "validation_steps",
    "patience",
    "validation_samples",
    "test_samples",
    "micro_batch_tokens",
    "precision",
    "compile",
    "recompute",
    "seed",
)
"""Knobs that go into the plan as they are."""


def check_overrides(overrides: RecipeOverrides, shape: ModelShape, *, max_lora_rank: int) -> None:
    """Refuse what this deployment or this base can't do, and knobs that there are not. Raises PlanInvalid."""
    if isinstance(overrides, UnusableOverrides):
        raise PlanInvalid(f"{overrides.problem}. Correct it, or leave it out.")
    for name in overrides.model_extra or {}:
        near = get_close_matches(name, RecipeOverrides.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(RecipeOverrides.model_fields)}."
        raise PlanInvalid(f"The recipe has no knob {_quoted(name)}; {hint}")
    if overrides.lora_rank and overrides.lora_rank > max_lora_rank:
        raise PlanInvalid(
            f"lora_rank {overrides.lora_rank} is more than this deployment serves; use at most {max_lora_rank}."
        )
    if overrides.max_seq_len and overrides.max_seq_len > shape.max_positions:
        raise PlanInvalid(
            f"max_seq_len {overrides.max_seq_len} is more than the base model reads; "
            f"use at most {shape.max_positions}."
        )


def _quoted(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-." else "?" for c in name[:40])


def _step_count(preset: Preset, overrides: RecipeOverrides, train_samples: int, batch_size: int) -> int:
    """Small datasets are shown a few times, large ones once and a little: 150 don't overfit, 20,000 are all used."""
    per_epoch = math.ceil(train_samples / batch_size)
    if overrides.epochs is not None:
        steps = per_epoch * overrides.epochs
        return min(steps, overrides.max_steps or steps)
    if overrides.max_steps is not None:
        return overrides.max_steps
    again = math.ceil(min(train_samples, preset.samples_twice) / batch_size)
    return min(per_epoch, preset.steps_per_epoch) + (preset.epochs - 1) * min(again, preset.steps_per_epoch)


def preset_for(shape: ModelShape, device: Device) -> Preset:
    """Large models take DoppelBot's own numbers; small ones learn a voice faster with a higher rate."""
    if shape.parameter_count >= LARGE_MODEL_PARAMETERS:
        return LARGE
    return SMALL if device == "cuda" else SMALL_ON_CPU


def _batch_size(preset: Preset, train_samples: int) -> int:
    """The preset's batch, halved until an epoch has enough steps to learn from."""
    batch_size = preset.batch_size
    while batch_size > SMALLEST_BATCH and train_samples / batch_size < preset.epoch_steps:
        batch_size //= 2
    return batch_size


def is_source_allowed(source: str, *, api_allowed: bool) -> bool:
    """May a dataset cut from such a corpus be trained on? Slack's API only with the operator's word."""
    return source != "api" or api_allowed
