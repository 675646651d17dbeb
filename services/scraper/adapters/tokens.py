"""The base model's tokenizer, brought from the bucket once: its lengths bound what a sample holds."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from doppel.basemodel.prompt import TOKENIZER_FILE, PromptEncoder
from doppel.basemodel.source import model_name
from doppel.storage import ObjectMissing, Storage
from proto.artifacts import BaseModelManifest, model_pointer_key
from proto.errors import ArtifactCorrupt, BaseModelCorrupt, BaseModelMissing


@dataclass(frozen=True)
class BaseTokens:
    """Whose tokens are counted, and how."""

    name: str
    content_sha256: str
    encoder: PromptEncoder


@dataclass
class Tokenizers:
    """One per process. The newest base model's tokenizer stays in memory; asks at the same time share one download."""

    storage: Storage
    base_model: str
    _held: BaseTokens | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fetch(self) -> BaseTokens:
        """As the base model is now. Raises BaseModelMissing, BaseModelCorrupt, BaseModelUnusable, storage errors."""
        name = model_name(self.base_model)
        async with self._lock:
            manifest = await self._manifest(name)
            if self._held is None or self._held.content_sha256 != manifest.content_sha256:
                encoder = await self._encoder(manifest)
                self._held = BaseTokens(manifest.name, manifest.content_sha256, encoder)
            return self._held

    async def _manifest(self, name: str) -> BaseModelManifest:
        try:
            return await self.storage.get_model(BaseModelManifest, model_pointer_key(name))
        except ObjectMissing as error:
            raise BaseModelMissing(name) from error
        except ArtifactCorrupt as error:
            raise BaseModelCorrupt(f"manifest of {name}") from error

    async def _encoder(self, manifest: BaseModelManifest) -> PromptEncoder:
        try:
            entry = manifest.file(TOKENIZER_FILE)
            data = await self.storage.get_bytes(
                f"{manifest.prefix}/{TOKENIZER_FILE}",
                sha256=entry.sha256,
                limit_bytes=max(entry.size_bytes, 1),
            )
        except (ObjectMissing, ArtifactCorrupt, KeyError) as error:
            raise BaseModelCorrupt(f"{TOKENIZER_FILE} of {manifest.name}") from error
        return await asyncio.to_thread(_read, data)


def _read(data: bytes) -> PromptEncoder:
    with tempfile.TemporaryDirectory(prefix="doppel-tokens-") as folder:
        path = Path(folder) / TOKENIZER_FILE
        path.write_bytes(data)
        return PromptEncoder.from_folder(path.parent)
