"""One resumable state as a folder: adapter, optimizer, best adapter, position, RNG. Safetensors and JSON, no pickle."""

import json
import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.trainer.recipe.model import PersonaModel

LORA_FILE = "lora.safetensors"
BEST_FILE = "best.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
POSITION_FILE = "position.json"
RNG_KEY = "rng_state"


class CheckpointCorrupt(Exception):
    """The folder does not hold a state of this run's model."""


@dataclass
class Position:
    """Where a run stands. The step is also the data position and the schedule's: both are functions of it."""

    precision: str
    micro_batch_tokens: int
    base_sha256: str = ""
    compiled: bool = False
    recompute: bool = False
    step: int = 0
    base_loss: float | None = None  # the first look: the plain base
    best_step: int = 0
    best_loss: float = float("inf")
    looks_without_gain: int = 0
    validated_step: int = -1
    retries: int = 0
    learning_rate_scale: float = 1.0
    train_s: float = 0.0


def save(
    folder: Path,
    model: PersonaModel,
    optimizer: torch.optim.Optimizer,
    position: Position,
    best_lora: dict[str, Tensor],
) -> None:
    """Write the state; the folder appears whole or not at all."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(model.lora_state(), part / LORA_FILE)
    save_file(_optimizer_state(model, optimizer) | {RNG_KEY: torch.get_rng_state()}, part / OPTIMIZER_FILE)
    if position.best_step != position.step:  # else it is the adapter itself
        save_file(best_lora, part / BEST_FILE)
    (part / POSITION_FILE).write_text(json.dumps(asdict(position)) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def load(
    folder: Path, model: PersonaModel, optimizer: torch.optim.Optimizer
) -> tuple[Position, dict[str, Tensor]]:
    """Put the state back; returns the position and the best adapter so far. Raises CheckpointCorrupt."""
    try:
        position = read_position(folder)
        if position.base_sha256 != model.base_sha256:
            raise CheckpointCorrupt(folder.name)
        lora = load_file(folder / LORA_FILE)
        best = lora if position.best_step == position.step else load_file(folder / BEST_FILE)
        state = load_file(folder / OPTIMIZER_FILE)
        torch.set_rng_state(state.pop(RNG_KEY))
        model.load_lora_state(lora)
        _restore_optimizer(model, optimizer, state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise CheckpointCorrupt(folder.name) from error
    return position, best


def read_position(folder: Path) -> Position:
    """The position alone. Raises CheckpointCorrupt."""
    try:
        found: dict[str, Any] = json.loads((folder / POSITION_FILE).read_bytes())
        return Position(
            **{field.name: found[field.name] for field in fields(Position) if field.name in found}
        )
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointCorrupt(folder.name) from error


def _optimizer_state(model: PersonaModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's moments and step counts by parameter name."""
    return {
        f"{name}/{key}": value.detach().cpu()
        for name, parameter in model.lora_parameters().items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _restore_optimizer(
    model: PersonaModel, optimizer: torch.optim.Optimizer, state: dict[str, Tensor]
) -> None:
    names = list(model.lora_parameters())
    packed = optimizer.state_dict()
    packed["state"] = {}
    for full_name, tensor in state.items():
        name, _, key = full_name.rpartition("/")
        packed["state"].setdefault(names.index(name), {})[key] = tensor
    optimizer.load_state_dict(packed)  # moves tensors to their parameter's device
