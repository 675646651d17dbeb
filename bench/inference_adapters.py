"""Random adapters for the inference bench: published as a run publishes, and in folders for the other side."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from safetensors.numpy import save_file

from bench.inference_traffic import SYSTEM
from doppel.basemodel.prepare import prepare, resolve
from doppel.storage import Storage
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterManifest,
    BaseModelManifest,
    FileEntry,
    adapter_prefix,
    manifest_key,
)
from proto.train import AdapterRef
from services.inference.core.shape import BaseShape

TEAM: Final = "T0BENCH"
RANK: Final = 8
UPLOADS: Final = 4
FILES: Final = (ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE)
PROJECTIONS: Final = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)


@dataclass(frozen=True)
class Personas:
    """Published adapters of one base model, and where the same files lie on disk."""

    base_model: str
    model: Path
    folders: list[Path]
    refs: list[AdapterRef]


def user_of(number: int) -> str:
    """A persona's Slack id."""
    return f"U{number:06d}"


async def publish(storage: Storage, base_model: str, work: Path, count: int) -> Personas:
    """Bring a base model and so many adapters into folders and into the bucket."""
    manifest = await prepare(storage, base_model, work / "models")
    model = await asyncio.to_thread(resolve, base_model, work / "models")
    shape = BaseShape.parse(await asyncio.to_thread((model / "config.json").read_bytes))
    folders = [work / "adapters" / f"{manifest.name}-{number}" for number in range(count)]
    limit = asyncio.Semaphore(UPLOADS)

    async def one(number: int) -> AdapterRef:
        async with limit:
            await asyncio.to_thread(write_adapter, folders[number], shape, number)
            return await _store(storage, folders[number], manifest, user_of(number))

    async with asyncio.TaskGroup() as group:
        stored = [group.create_task(one(number)) for number in range(count)]
    return Personas(base_model, model, folders, [task.result() for task in stored])


async def _store(storage: Storage, folder: Path, base: BaseModelManifest, user_id: str) -> AdapterRef:
    run_id = uuid4()
    prefix = adapter_prefix(TEAM, user_id, run_id, 1)
    files = [
        FileEntry(
            name=name,
            size_bytes=(folder / name).stat().st_size,
            sha256=await storage.put_file(f"{prefix}/{name}", folder / name),
        )
        for name in FILES
    ]
    manifest = AdapterManifest(
        created_at=base.created_at,
        files=tuple(files),
        run_id=run_id,
        team_id=TEAM,
        user_id=user_id,
        dataset_id=uuid4(),
        base_model=base.name,
        base_model_sha256=base.content_sha256,
        lora_rank=RANK,
        system=SYSTEM,
        base_test_loss=2,
        test_loss=1,
        step_count=1,
    )
    sha256 = await storage.put_model(manifest_key(prefix), manifest)
    return AdapterRef(run_id=run_id, prefix=prefix, manifest_sha256=sha256)


def write_adapter(folder: Path, shape: BaseShape, seed: int) -> None:
    """Random weights on every projection (blocking): small, so that words stay words."""
    rng = np.random.Generator(np.random.PCG64(seed))
    tensors: dict[str, Any] = {}
    for layer in range(shape.layers):
        for name in PROJECTIONS:
            rows, columns = shape.projection(name) or (0, 0)
            stem = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{stem}.lora_A.weight"] = rng.standard_normal((RANK, columns), np.float32) / 10
            tensors[f"{stem}.lora_B.weight"] = rng.standard_normal((rows, RANK), np.float32) / 100
    folder.mkdir(parents=True)
    save_file(tensors, folder / ADAPTER_WEIGHTS_FILE)
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "bias": "none",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": [name.rpartition(".")[2] for name in PROJECTIONS],
    }
    (folder / ADAPTER_CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
