"""The models made here: same bytes each time, right shapes, readable by the ordinary readers."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from doppel.basemodel import tiny as tiny_model
from doppel.basemodel.gguf import Gguf, hub_name, unpermute
from doppel.basemodel.source import wheel_gguf
from doppel.basemodel.tensors import write_safetensors
from doppel.basemodel.tiny import write_tiny
from doppel.storage import sha256_of


def test_the_tiny_model_is_the_same_bytes_each_time(tiny: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    for path in tiny.iterdir():
        assert sha256_of(path) == sha256_of(tmp_path / path.name), path.name


def test_the_tiny_model_has_the_shapes_it_says(tiny: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    assert {name: values.shape for name, values in tensors.items()} == tiny_model.shapes(49152)
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_the_wheels_tensors_are_read_with_the_known_values() -> None:
    source = Gguf(wheel_gguf())
    norm = source.weights("blk.0.attn_norm.weight")
    gate = source.weights("blk.0.ffn_gate.weight")
    assert source.fields["llama.block_count"] == 30
    assert norm.shape == (576,)
    assert gate.shape == (1536, 576)
    assert 0.05 < float(np.abs(gate).mean()) < 0.2
    assert hub_name("blk.12.attn_output.weight") == "model.layers.12.self_attn.o_proj.weight"


def test_unpermuting_is_the_inverse_of_llama_cpps_interleaving() -> None:
    heads, rows, columns = 2, 8, 3
    original = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    half = rows // heads // 2
    interleaved = original.reshape(heads, 2, half, columns).swapaxes(1, 2).reshape(rows, columns)
    assert np.array_equal(unpermute(interleaved, heads), original)


def test_bfloat16_is_rounded_to_nearest(tmp_path: Path) -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, -3.140625, 0.0], np.float32)
    write_safetensors(tmp_path / "x", {"a": (5,)}, [("a", values)], "BF16")
    raw = (tmp_path / "x").read_bytes()
    stored = np.frombuffer(raw[8 + int.from_bytes(raw[:8], "little") :], "<u2").astype("<u4") << 16
    assert stored.view("<f4").tolist() == [1.0, 1.0, 1.015625, -3.140625, 0.0]


def test_a_tensor_that_was_not_announced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the next"):
        write_safetensors(tmp_path / "x", {"a": (1,)}, [("b", np.zeros(1, np.float32))])
    with pytest.raises(ValueError, match="was not written"):
        write_safetensors(tmp_path / "x", {"a": (1,)}, [])
