"""An engine, a bucket and a bus that are none, and adapters small enough for a test."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from safetensors.numpy import save

from doppel.storage import ObjectMissing
from proto.artifacts import (
    ADAPTER_CONFIG_FILE,
    ADAPTER_WEIGHTS_FILE,
    AdapterManifest,
    FileEntry,
    adapter_prefix,
    manifest_key,
)
from proto.body import Body
from proto.errors import AdapterCorrupt, ArtifactCorrupt
from proto.subjects import Subject
from proto.train import AdapterRef
from services.inference.adapters.engine import Completion, EngineDied, LoraFolder, OnText
from services.inference.core.plan import Drawing
from services.inference.core.shape import BaseShape

TEAM, USER = "T1", "UADA"
BASE_SHA256 = "b" * 64
SHAPE = BaseShape(layers=1, hidden=64, inner=96, heads=2, kv_heads=1, head_dim=32, context=256)


@dataclass
class MemoryBucket:
    """Objects in a dict; `away` lets so many calls fail first."""

    objects: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    away: int = 0

    async def get_model(self, model: type[Any], key: str, *, sha256: str | None = None) -> Any:
        return model.model_validate_json(await self._read(key, sha256))

    async def fetch_verified(
        self, key: str, sha256: str, path: Path, *, limit_bytes: int | None = None
    ) -> None:
        data = await self._read(key, sha256)
        if limit_bytes is not None and len(data) > limit_bytes:
            raise ArtifactCorrupt(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    async def _read(self, key: str, sha256: str | None) -> bytes:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError
        self.reads.append(key)
        if key not in self.objects:
            raise ObjectMissing(key)
        if sha256 is not None and hashlib.sha256(self.objects[key]).hexdigest() != sha256:
            raise ArtifactCorrupt(key)
        return self.objects[key]

    def publish(
        self,
        user_id: str = USER,
        *,
        base: str = BASE_SHA256,
        weights: bytes | None = None,
        size_bytes: int | None = None,
    ) -> AdapterRef:
        """Put an adapter there, as a run does. `size_bytes`: what the manifest says of the weights."""
        run_id = uuid4()
        prefix = adapter_prefix(TEAM, user_id, run_id, 1)
        stem = "base_model.model.model.layers.0.self_attn.q_proj"
        pair = {
            f"{stem}.lora_A.weight": np.ones((1, 64), np.float32),
            f"{stem}.lora_B.weight": np.ones((64, 1), np.float32),
        }
        files = {
            ADAPTER_WEIGHTS_FILE: save(pair) if weights is None else weights,
            ADAPTER_CONFIG_FILE: json.dumps({"r": 1, "lora_alpha": 1}).encode(),
        }
        entries: list[FileEntry] = []
        for name, data in files.items():
            self.objects[f"{prefix}/{name}"] = data
            said = size_bytes if size_bytes is not None and name == ADAPTER_WEIGHTS_FILE else len(data)
            entries.append(FileEntry(name=name, size_bytes=said, sha256=hashlib.sha256(data).hexdigest()))
        manifest = AdapterManifest(
            created_at=datetime.now(UTC),
            files=tuple(entries),
            run_id=run_id,
            team_id=TEAM,
            user_id=user_id,
            dataset_id=uuid4(),
            base_model="tiny",
            base_model_sha256=base,
            lora_rank=1,
            system="Be Ada.",
            base_test_loss=2,
            test_loss=1,
            step_count=1,
        )
        data = manifest.model_dump_json().encode()
        self.objects[manifest_key(prefix)] = data
        return AdapterRef(run_id=run_id, prefix=prefix, manifest_sha256=hashlib.sha256(data).hexdigest())


@dataclass
class EchoEngine:
    """Says which adapter it was asked with; notices what a real engine would not survive."""

    context: int = 256
    asked: list[tuple[str, list[int], LoraFolder | None]] = field(default_factory=list)
    removed: list[LoraFolder] = field(default_factory=list)
    refuses: bool = False
    dies: bool = False
    pause_s: float = 0

    async def generate(
        self,
        request_id: str,
        ids: Sequence[int],
        drawing: Drawing,
        adapter: LoraFolder | None,
        on_text: OnText,
    ) -> Completion:
        self.asked.append((request_id, list(ids), adapter))
        assert adapter is None or (adapter.folder / ADAPTER_WEIGHTS_FILE).exists()
        if self.dies:
            raise EngineDied
        if self.refuses:
            raise AdapterCorrupt("refused")
        await asyncio.sleep(self.pause_s)
        text = f" by {adapter.name.partition('@')[0]} " if adapter else " by base "
        on_text(text)
        return Completion(text, "stop", len(ids), 3)

    @property
    def known(self) -> frozenset[int]:
        return frozenset()

    async def forget_prompts(self) -> bool:
        return True

    async def remove(self, adapter: LoraFolder) -> None:
        assert adapter.folder.exists(), "deleted before the engine let go"
        self.removed.append(adapter)


@dataclass
class MemoryBus:
    """Keeps what was published."""

    published: list[tuple[str, Body, str]] = field(default_factory=list)
    core: list[tuple[str, Body]] = field(default_factory=list)
    progress_fails: bool = False

    async def publish(self, subject: Subject, body: Body, *, key: str) -> None:
        if self.progress_fails and subject.name.endswith("progress"):
            raise TimeoutError
        self.published.append((subject.name, body, key))

    async def publish_core(self, subject: str, body: Body) -> None:
        self.core.append((subject, body))

    def results(self) -> list[Any]:
        return [body for subject, body, _ in self.published if subject == "generate.result"]


@dataclass
class ActiveTable:
    """The gateway's table."""

    rows: dict[str, AdapterRef] = field(default_factory=dict)
    away: int = 0

    async def fetch_active_adapter(self, team_id: str, user_id: str) -> AdapterRef | None:
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError
        return self.rows.get(user_id)


class QuietDelivery:
    """A delivery that needs no heartbeat."""

    id = UUID(int=77)

    @contextlib.asynccontextmanager
    async def heartbeat(self):
        yield
