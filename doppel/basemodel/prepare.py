"""Put the base model into the bucket, once: resolve it to a folder, upload its files, write the manifest last."""

import asyncio
import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from pydantic import BaseModel

from doppel.basemodel.errors import BaseModelUnusable
from doppel.basemodel.gguf import convert
from doppel.basemodel.prompt import TOKENIZER_FILE, PromptEncoder
from doppel.basemodel.source import SMOLLM2, TINY, is_folder, is_hub_id, model_name, wheel_gguf
from doppel.basemodel.tiny import write_tiny
from doppel.storage import ObjectMissing, sha256_of
from proto.artifacts import BaseModelManifest, FileEntry, model_pointer_key, model_prefix
from proto.errors import ArtifactCorrupt

log = logging.getLogger(__name__)

CONFIG_FILE: Final = "config.json"
INDEX_FILE: Final = "model.safetensors.index.json"
WANTED: Final = (
    "*.safetensors",
    "*.json",
    "*.jinja",
)  # weights, configuration, chat template; nothing pickled
UPLOADS: Final = 4  # at once
M = TypeVar("M", bound=BaseModel)

Report = Callable[[str, int, int], None]
"""What is being done, how many files of how many are done."""


class Bucket(Protocol):
    """What of the storage is needed here."""

    async def exists(self, key: str) -> bool:
        """Is there such an object?"""
        ...

    async def put_file(self, key: str, path: Path) -> str:
        """Store a file; returns its SHA-256."""
        ...

    async def put_model(self, key: str, body: BaseModel) -> str:
        """Store a manifest."""
        ...

    async def get_model(self, model: type[M], key: str, *, sha256: str | None = None) -> M:
        """Read a manifest."""
        ...


def _silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


async def prepare(
    bucket: Bucket, base_model: str, work_dir: Path, *, report: Report = _silent
) -> BaseModelManifest:
    """Bring the base model into the bucket unless it is there. Raises BaseModelUnusable and storage errors.

    A model from the hub is taken as first prepared: its id may mean other bytes tomorrow. Every other source is
    made and hashed again, so that a changed folder is noticed.
    """
    name = model_name(base_model)
    there = await _complete(bucket, name)
    if there is not None and is_hub_id(base_model):
        return there
    report("reading the base model", 0, 1)
    folder = await asyncio.to_thread(resolve, base_model, work_dir)
    files = await asyncio.to_thread(list_files, folder)
    manifest = describe(name, files)
    if there is not None and there.content_sha256 == manifest.content_sha256:
        return there
    await _upload(bucket, folder, manifest, report)
    await bucket.put_model(model_pointer_key(name), manifest)
    log.info("base model prepared", extra={"base_model": name, "sha256": manifest.content_sha256[:16]})
    return manifest


async def _complete(bucket: Bucket, name: str) -> BaseModelManifest | None:
    try:
        manifest = await bucket.get_model(BaseModelManifest, model_pointer_key(name))
    except (ObjectMissing, ArtifactCorrupt):
        return None
    there = [await bucket.exists(f"{manifest.prefix}/{entry.name}") for entry in manifest.files]
    return manifest if all(there) else None


async def _upload(bucket: Bucket, folder: Path, manifest: BaseModelManifest, report: Report) -> None:
    done = 0
    limit = asyncio.Semaphore(UPLOADS)

    async def put(entry: FileEntry) -> None:
        nonlocal done
        async with limit:
            sha256 = await bucket.put_file(f"{manifest.prefix}/{entry.name}", folder / entry.name)
        if sha256 != entry.sha256:
            raise BaseModelUnusable(
                f"{entry.name} changed while it was uploaded. Prepare the base model again."
            )
        done += 1
        report("uploading the base model", done, len(manifest.files))

    try:
        async with asyncio.TaskGroup() as group:
            for entry in manifest.files:
                group.create_task(put(entry))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors  # the first that failed cancelled the others


def describe(name: str, files: tuple[FileEntry, ...]) -> BaseModelManifest:
    """The manifest of these files; its content hash is over names and hashes, in order of name."""
    lines = "".join(f"{entry.name} {entry.sha256}\n" for entry in files)
    content = hashlib.sha256(lines.encode()).hexdigest()
    return BaseModelManifest(
        created_at=datetime.now(UTC),
        files=files,
        name=name,
        prefix=model_prefix(name, content),
        content_sha256=content,
    )


def list_files(folder: Path) -> tuple[FileEntry, ...]:
    """What of a model's folder goes into the bucket (blocking). Raises BaseModelUnusable where it is no whole model."""
    paths = sorted({path for pattern in WANTED for path in folder.glob(pattern) if path.is_file()})
    names = {path.name for path in paths}
    missing = [needed for needed in (CONFIG_FILE, TOKENIZER_FILE) if needed not in names]
    index = _read_json(folder / INDEX_FILE) if INDEX_FILE in names else {}
    missing += sorted(set(cast("dict[str, str]", index.get("weight_map", {})).values()) - names)
    if not any(name.endswith(".safetensors") for name in names):
        missing.append("model.safetensors")
    if missing:
        raise BaseModelUnusable(
            f"The base model in {folder.name} lacks {missing[0]}. Put a whole model there."
        )
    kind = _read_json(folder / CONFIG_FILE).get("architectures")
    if kind != ["LlamaForCausalLM"]:
        raise BaseModelUnusable(
            f"The base model in {folder.name} is {kind}; only Llama models can be trained here."
        )
    PromptEncoder.from_folder(folder)
    return tuple(
        FileEntry(name=path.name, size_bytes=path.stat().st_size, sha256=sha256_of(path)) for path in paths
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseModelUnusable(
            f"{path.name} of the base model can't be read. Put a whole model there."
        ) from error
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def resolve(base_model: str, work_dir: Path) -> Path:
    """Make or find the model's folder (blocking). Raises BaseModelUnusable."""
    text = base_model.strip()
    if is_folder(text):
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise BaseModelUnusable(f"DOPPEL_BASE_MODEL names the folder {text}, which does not exist.")
        return folder
    if text == SMOLLM2:
        return _made(work_dir / text, lambda folder: convert(wheel_gguf(), folder))
    if text == TINY:
        return _made(work_dir / text, write_tiny)
    if is_hub_id(text):
        return _from_hub(text, work_dir / model_name(text))
    raise BaseModelUnusable(
        f"DOPPEL_BASE_MODEL is {text!r}, which is neither a Hugging Face id (org/name), nor a folder (beginning "
        f"with / or ./), nor {SMOLLM2} or {TINY}."
    )


def _made(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make it beside its place and rename: a half-made model is never taken for one."""
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    try:
        make(part)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # another one was faster: theirs is the same
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _from_hub(hub_id: str, folder: Path) -> Path:
    """Download safetensors, configuration and tokenizer. HF_TOKEN and HF_ENDPOINT are read by the hub's own client."""
    try:
        from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
        from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
    except ImportError as error:
        raise BaseModelUnusable(
            "Downloading a base model needs huggingface-hub: install the extra `setup`."
        ) from error
    try:
        download = cast("Callable[..., str]", snapshot_download)
        download(hub_id, local_dir=folder, allow_patterns=list(WANTED), ignore_patterns=["*/*"])
    except GatedRepoError as error:
        raise BaseModelUnusable(
            f"{hub_id} asks for its licence to be accepted: do so on its page and set HF_TOKEN."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise BaseModelUnusable(f"There is no {hub_id} on the hub, or HF_TOKEN may not read it.") from error
    except (OSError, ValueError) as error:  # hub and connection errors are OSErrors
        raise BaseModelUnusable(
            f"{hub_id} can't be downloaded now ({type(error).__name__}). Try again, or name a folder that holds it."
        ) from error
    return folder
