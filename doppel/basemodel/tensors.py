"""Write safetensors tensor by tensor, so that a model larger than memory could be written."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Dtype = Literal["F32", "BF16"]
WIDTH: Final[dict[Dtype, int]] = {"F32": 4, "BF16": 2}


def write_safetensors(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    tensors: Iterable[tuple[str, Floats]],
    dtype: Dtype = "F32",
) -> None:
    """Write `tensors` in the order of `shapes`. Raises ValueError where the two disagree."""
    with path.open("wb") as file:
        file.write(_header(shapes, dtype))
        expected: Iterator[tuple[str, tuple[int, ...]]] = iter(shapes.items())
        for name, values in tensors:
            if (name, values.shape) != next(expected, None):
                raise ValueError(f"tensor {name} {values.shape} is not the next of the header")
            file.write(_encoded(values, dtype).tobytes())
        if (left := next(expected, None)) is not None:
            raise ValueError(f"tensor {left[0]} was not written")


def _header(shapes: Mapping[str, tuple[int, ...]], dtype: Dtype) -> bytes:
    entries: dict[str, object] = {
        "__metadata__": {"format": "pt"}
    }  # without it transformers refuses the file
    offset = 0
    for name, shape in shapes.items():
        end = offset + int(np.prod(shape)) * WIDTH[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data begins aligned
    return len(text).to_bytes(8, "little") + text


def _encoded(values: Floats, dtype: Dtype) -> npt.NDArray[np.generic]:
    if dtype == "F32":
        return np.ascontiguousarray(values, dtype="<f4")
    return bfloat16_bits(values)


def bfloat16_bits(values: Floats) -> npt.NDArray[np.generic]:
    """The upper halves of float32 numbers, rounded."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")  # round to nearest, ties to even
