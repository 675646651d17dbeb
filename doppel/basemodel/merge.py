"""Base and adapter as one ordinary model folder: W + (alpha / rank) · B A, written in the base's own precision.

The merged files have the very layout of the base's, so each is copied and only adapted tensors are written over. A
model larger than memory can be merged.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from doppel.basemodel.tensors import Floats, bfloat16_bits
from proto.artifacts import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE
from proto.errors import AdapterCorrupt, BaseModelCorrupt

PREFIX: Final = "base_model.model."
LORA_A: Final = ".lora_A.weight"
LORA_B: Final = ".lora_B.weight"
COPIED: Final = ("*.safetensors", "*.json", "*.jinja")


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in a file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


def merge(base: Path, adapter: Path, folder: Path) -> None:
    """Write the merged model to `folder`, which appears whole or not at all (blocking).

    Raises AdapterCorrupt, BaseModelCorrupt.
    """
    deltas = read_deltas(adapter)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for path in sorted({path for pattern in COPIED for path in base.glob(pattern)}):
            if not path.name.startswith("."):
                shutil.copyfile(path, part / path.name)
        merged: set[str] = set()
        for path in sorted(part.glob("*.safetensors")):
            merged |= _write_over(path, deltas)
        if missing := deltas.keys() - merged:
            raise AdapterCorrupt(f"no such layer in the base model: {min(missing)}")
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_deltas(adapter: Path) -> dict[str, tuple[Floats, Floats]]:
    """Base tensor name → (B · alpha / rank, A) of a PEFT folder. Raises AdapterCorrupt."""
    try:
        config = cast("dict[str, Any]", json.loads((adapter / ADAPTER_CONFIG_FILE).read_bytes()))
        scale = float(config["lora_alpha"]) / int(config["r"])
        weights = cast("dict[str, Floats]", load_file(adapter / ADAPTER_WEIGHTS_FILE))
        return {
            f"{name.removeprefix(PREFIX).removesuffix(LORA_A)}.weight": (
                weights[name.replace(LORA_A, LORA_B)].astype(np.float32) * np.float32(scale),
                a.astype(np.float32),
            )
            for name, a in weights.items()
            if name.endswith(LORA_A)
        }
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterCorrupt("adapter files") from error


def _write_over(path: Path, deltas: dict[str, tuple[Floats, Floats]]) -> set[str]:
    """Add what belongs to this file's tensors; returns their names."""
    found: set[str] = set()
    with path.open("r+b") as file:
        for name, place in _header(path).items():
            if name not in deltas:
                continue
            b, a = deltas[name]
            if place.shape != (b.shape[0], a.shape[1]):
                raise AdapterCorrupt(f"{name} has another shape in the base model")
            file.seek(place.start)
            values = _decoded(file.read(place.size), place)
            values += b @ a
            file.seek(place.start)
            file.write(_encoded(values, place.dtype))
            found.add(name)
    return found


def _header(path: Path) -> dict[str, _Place]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = cast("dict[str, dict[str, Any]]", json.loads(file.read(length)))
        return {
            name: _Place(
                entry["dtype"],
                tuple(entry["shape"]),
                8 + length + entry["data_offsets"][0],
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        raise BaseModelCorrupt(path.name) from error


def _decoded(data: bytes, place: _Place) -> Floats:
    if place.dtype == "BF16":
        bits = np.frombuffer(data, np.dtype("<u2")).astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32).reshape(place.shape)
    kinds = {"F32": "<f4", "F16": "<f2"}
    if place.dtype not in kinds:
        raise BaseModelCorrupt(f"weights of kind {place.dtype}")
    return np.frombuffer(data, np.dtype(kinds[place.dtype])).astype(np.float32).reshape(place.shape)


def _encoded(values: Floats, dtype: str) -> bytes:
    if dtype == "BF16":
        return bfloat16_bits(values).tobytes()
    return values.astype("<f2" if dtype == "F16" else "<f4").tobytes()
