"""The gate before the engine: whatever passes here can't end the engine or poison it.

The engine trusts what it is given: a truncated file, a rank it has no room for or a shape that does not fit ends the
request at best and every running one at worst, and a single NaN spoils all later answers, also other people's.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import numpy as np

from proto.errors import AdapterCorrupt
from services.inference.core.shape import PROJECTIONS, BaseShape

HEADER_LIMIT: Final = 10 * 1024 * 1024
WIDTH: Final = {"F32": 4, "F16": 2, "BF16": 2}
EXPONENT: Final = {"F16": 0x7C00, "BF16": 0x7F80}  # all ones: infinite or not a number
KEY: Final = re.compile(
    r"base_model\.model\.model\.layers\.(\d{1,4})\.((?:self_attn|mlp)\.[a-z]{1,8}_proj)\.lora_([AB])\.weight"
)


class Tensor(NamedTuple):
    """One entry of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def most_weight_bytes(base: BaseShape, max_rank: int) -> int:
    """How large the weights of an adapter can honestly be: every projection, the highest rank, four bytes a number."""
    columns_and_rows = sum(sum(base.projection(name) or ()) for name in PROJECTIONS)
    return 8 + HEADER_LIMIT + base.layers * max_rank * columns_and_rows * max(WIDTH.values())


def check_adapter(config: bytes, weights: bytes | memoryview, base: BaseShape, max_rank: int) -> None:
    """Raise AdapterCorrupt unless the engine can safely load this adapter."""
    rank = check_config(config, max_rank)
    data = memoryview(weights)
    tensors, offset = parse_header(data)
    check_shapes(tensors, base, rank)
    for name, tensor in tensors.items():
        if not is_finite(data[offset + tensor.start : offset + tensor.end], tensor.dtype):
            raise AdapterCorrupt(f"{name} holds numbers that are none")


def check_config(config: bytes, max_rank: int) -> int:
    """Check adapter_config.json; returns the rank."""
    try:
        fields = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise AdapterCorrupt("adapter_config.json") from error
    if not isinstance(fields, dict):
        raise AdapterCorrupt("adapter_config.json")
    values = cast("dict[str, Any]", fields)
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= max_rank:
        raise AdapterCorrupt(f"rank {rank!r:.20}, at most {max_rank} is served")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha < 1e6:
        raise AdapterCorrupt("lora_alpha is no scale")
    wanted = {
        "peft_type": "LORA",
        "bias": "none",
        "use_dora": False,
        "use_rslora": False,
        "modules_to_save": None,
    }
    for name, value in wanted.items():
        if values.get(name, value) not in (value, [] if value is None else value):
            raise AdapterCorrupt(f"{name} of this kind is not served")
    return rank


def parse_header(data: memoryview) -> tuple[dict[str, Tensor], int]:
    """Read a safetensors header; returns its tensors and where their data begins. The file must be as long as said."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(HEADER_LIMIT, len(data) - 8):
        raise AdapterCorrupt("the weights end within their header")
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
        tensors = {name: _tensor(entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise AdapterCorrupt("the header of the weights") from error
    _check_layout(tensors, len(data) - 8 - length)
    return tensors, 8 + length


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    start, end = (int(offset) for offset in entry["data_offsets"])
    return Tensor(str(entry["dtype"]), tuple(int(size) for size in entry["shape"]), start, end)


def _check_layout(tensors: Mapping[str, Tensor], size: int) -> None:
    """Tensors must cover the data without holes, overlaps or a rest."""
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if tensor.dtype not in WIDTH:
            raise AdapterCorrupt(f"{name:.100} is of type {tensor.dtype:.10}")
        count = 1
        for length in tensor.shape:
            count *= length
        if tensor.start != at or tensor.end - tensor.start != count * WIDTH[tensor.dtype] or count <= 0:
            raise AdapterCorrupt(f"{name:.100} lies elsewhere than its header says")
        at = tensor.end
    if at != size:
        raise AdapterCorrupt("the weights are shorter or longer than their header says")


def check_shapes(tensors: Mapping[str, Tensor], base: BaseShape, rank: int) -> None:
    """Every tensor must be half of a pair that fits a projection of the base model."""
    pairs: dict[tuple[int, str], set[str]] = {}
    for name, tensor in tensors.items():
        found = KEY.fullmatch(name)
        if found is None:
            raise AdapterCorrupt(f"{name:.100} is no LoRA weight")
        layer, projection, side = int(found[1]), found[2], found[3]
        sizes = base.projection(projection)
        if sizes is None or layer >= base.layers:
            raise AdapterCorrupt(f"the base model has no {name:.100}")
        rows_out, columns_in = sizes
        if tensor.shape != ((rank, columns_in) if side == "A" else (rows_out, rank)):
            raise AdapterCorrupt(f"{name:.100} has the shape of another base model")
        pairs.setdefault((layer, projection), set()).add(side)
    if not pairs or any(sides != {"A", "B"} for sides in pairs.values()):
        raise AdapterCorrupt("half of a LoRA pair is missing")


def is_finite(data: memoryview, dtype: str) -> bool:
    """Whether no number is infinite or NaN; bfloat16, which NumPy lacks, is judged by its bits."""
    if dtype == "F32":
        return bool(np.isfinite(np.frombuffer(data, "<f4")).all())
    mask = EXPONENT[dtype]
    return bool(((np.frombuffer(data, "<u2") & mask) != mask).all())
