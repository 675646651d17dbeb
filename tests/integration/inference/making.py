"""Adapters for tests: random weights strong enough to change what the tiny model says, published as a run would."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import numpy as np
from safetensors.numpy import save

from doppel.basemodel import tiny
from doppel.storage import Storage
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterManifest,
    BaseModelManifest,
    FileEntry,
    adapter_prefix,
    manifest_key,
    persona_prefix,
)
from proto.train import AdapterRef

RANK = 8
SYSTEM = "You are a test."


def lora_weights(seed: int, rank: int = RANK) -> dict[str, np.ndarray]:
    """Every projection of the tiny model."""
    generator = np.random.Generator(np.random.PCG64(seed))
    tensors: dict[str, np.ndarray] = {}
    for name, shape in tiny.shapes(64).items():
        if not name.endswith("_proj.weight"):
            continue
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        rows, columns = shape
        tensors[f"{stem}.lora_A.weight"] = generator.standard_normal((rank, columns), np.float32) / 10
        tensors[f"{stem}.lora_B.weight"] = generator.standard_normal((rows, rank), np.float32) / 10
    return tensors


def lora_config(rank: int = RANK) -> bytes:
    """adapter_config.json."""
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "bias": "none",
        "r": rank,
        "lora_alpha": 2 * rank,
    }
    return json.dumps(config | {"target_modules": modules}).encode()


@dataclass(frozen=True)
class Publisher:
    """Puts adapters where the trainer puts them, and makes them active."""

    storage: Storage
    base: BaseModelManifest
    dsn: str
    folder: Path

    async def publish(
        self,
        team_id: str,
        user_id: str,
        *,
        weights: bytes | None = None,
        config: bytes | None = None,
        seed: int = 1,
        base_sha256: str | None = None,
        said_bytes: int | None = None,
    ) -> AdapterRef:
        """Objects first, manifest, then the row. `said_bytes`: what the manifest claims of the weights."""
        run_id = uuid4()
        prefix = adapter_prefix(team_id, user_id, run_id, 1)
        files = {
            ADAPTER_CONFIG_FILE: config if config is not None else lora_config(),
            ADAPTER_WEIGHTS_FILE: weights if weights is not None else save(lora_weights(seed)),
        }
        entries = [
            FileEntry(
                name=name,
                size_bytes=len(data) if name == ADAPTER_CONFIG_FILE or said_bytes is None else said_bytes,
                sha256=await self.storage.put_bytes(f"{prefix}/{name}", data),
            )
            for name, data in files.items()
        ]
        manifest = AdapterManifest(
            created_at=datetime.now(UTC),
            files=tuple(entries),
            run_id=run_id,
            team_id=team_id,
            user_id=user_id,
            dataset_id=uuid4(),
            base_model=self.base.name,
            base_model_sha256=base_sha256 or self.base.content_sha256,
            lora_rank=RANK,
            system=SYSTEM,
            base_test_loss=2,
            test_loss=1,
            step_count=1,
        )
        sha256 = await self.storage.put_model(manifest_key(prefix), manifest)
        await self.activate(team_id, user_id, run_id, prefix, sha256)
        return AdapterRef(run_id=run_id, prefix=prefix, manifest_sha256=sha256)

    async def activate(self, team_id: str, user_id: str, run_id: UUID, prefix: str, sha256: str) -> None:
        """Make it a published version, and the one the persona answers with."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(
                """insert into gateway.active_adapters (team_id, user_id, run_id, prefix, manifest_sha256, requested_at)
                   values ($1, $2, $3, $4, $5, now())
                   on conflict (team_id, user_id) do update set run_id = $3, prefix = $4, manifest_sha256 = $5""",
                team_id,
                user_id,
                run_id,
                prefix,
                sha256,
            )
            await connection.execute(
                """insert into trainer.runs (run_id, request_id, team_id, user_id, dataset_id, state, holder,
                       lease_until, requested_at, adapter_prefix, manifest_sha256)
                   values ($1, $1, $2, $3, $1, 'published', 'x', now(), now(), $4, $5) on conflict do nothing""",
                run_id,
                team_id,
                user_id,
                prefix,
                sha256,
            )
        finally:
            await connection.close()

    async def forget(self, team_id: str, user_id: str) -> None:
        """As gateway and trainer do it: rows first, then objects."""
        connection = await asyncpg.connect(self.dsn)
        try:
            for table in ("gateway.active_adapters", "trainer.runs"):
                query = f"delete from {table} where team_id = $1 and user_id = $2"
                await connection.execute(query, team_id, user_id)
        finally:
            await connection.close()
        await self.storage.delete(await self.storage.list_keys(f"{persona_prefix(team_id, user_id)}/"))
