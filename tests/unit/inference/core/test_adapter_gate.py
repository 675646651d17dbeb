"""What the gate lets through, and what it keeps from the engine."""

import json
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from proto.errors import AdapterCorrupt, BaseModelCorrupt
from services.inference.core.adapter_gate import check_adapter, most_weight_bytes
from services.inference.core.shape import BaseShape

BASE = BaseShape(layers=2, hidden=64, inner=96, heads=4, kv_heads=2, head_dim=32, context=128)
RANK = 8
MAX_RANK = 16


def weights(changes: Mapping[str, np.ndarray | None] = MappingProxyType({}), rank: int = RANK) -> bytes:
    tensors: dict[str, np.ndarray] = {}
    for layer in range(BASE.layers):
        for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"):
            rows, columns = BASE.projection(name) or (0, 0)
            stem = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{stem}.lora_A.weight"] = np.full((rank, columns), 0.5, np.float32)
            tensors[f"{stem}.lora_B.weight"] = np.full((rows, rank), 0.25, np.float32)
    for name, value in changes.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    return save(tensors)


def config(**changes: Any) -> bytes:
    return json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 16, "bias": "none"} | changes).encode()


FIRST_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
FIRST_B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"


def a(value: float = 0.5, shape: tuple[int, ...] = (RANK, 64), dtype: Any = np.float32) -> np.ndarray:
    return np.full(shape, value, dtype)


def test_a_sound_adapter_passes() -> None:
    check_adapter(config(), weights(), BASE, MAX_RANK)
    check_adapter(config(), weights({FIRST_A: a(dtype=np.float16)}), BASE, MAX_RANK)


def test_the_largest_sound_adapter_is_within_the_limit() -> None:
    assert len(weights(rank=MAX_RANK)) < most_weight_bytes(BASE, MAX_RANK) < 2**31


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_number_that_is_none_is_kept_from_the_engine(value: float, dtype: Any) -> None:
    poisoned = a(dtype=dtype)
    poisoned[3, 7] = value
    with pytest.raises(AdapterCorrupt, match="numbers that are none"):
        check_adapter(config(), weights({FIRST_A: poisoned}), BASE, MAX_RANK)


@pytest.mark.parametrize(
    ("bits", "sound"), [(0x3F80, True), (0x7F80, False), (0xFFC0, False), (0x7F7F, True)]
)
def test_bfloat16_is_judged_by_its_bits(bits: int, sound: bool) -> None:
    header = {
        FIRST_A: {"dtype": "BF16", "shape": [1, 64], "data_offsets": [0, 128]},
        FIRST_B: {"dtype": "BF16", "shape": [128, 1], "data_offsets": [128, 384]},
    }
    text = json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + struct.pack("<H", bits) + bytes(382)
    if sound:
        check_adapter(config(r=1), data, BASE, MAX_RANK)
    else:
        with pytest.raises(AdapterCorrupt):
            check_adapter(config(r=1), data, BASE, MAX_RANK)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({FIRST_A: a(shape=(RANK, 576))}, "another base model"),
        ({FIRST_A: a(shape=(4, 64))}, "another base model"),
        ({FIRST_A: a(shape=(RANK, 64, 1))}, "another base model"),
        ({FIRST_A: None}, "half of a LoRA pair"),
        ({"lm_head.weight": a()}, "no LoRA weight"),
        ({FIRST_A.replace("layers.0", "layers.2"): a()}, "the base model has no"),
        ({FIRST_A.replace("q_proj", "x_proj"): a()}, "the base model has no"),
        ({FIRST_A: a(dtype=np.int32)}, "of type I32"),
    ],
)
def test_weights_that_do_not_fit_are_kept_from_the_engine(changes: Any, why: str) -> None:
    with pytest.raises(AdapterCorrupt, match=why):
        check_adapter(config(), weights(changes), BASE, MAX_RANK)


@pytest.mark.parametrize(
    "changes",
    [
        {"r": 64},
        {"r": 0},
        {"r": 4},
        {"r": "8"},
        {"r": True},
        {"lora_alpha": 0},
        {"lora_alpha": None},
        {"lora_alpha": 1e9},
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
    ],
)
def test_a_configuration_that_is_not_served_is_kept_from_the_engine(changes: dict[str, Any]) -> None:
    with pytest.raises(AdapterCorrupt):
        check_adapter(config(**changes), weights(), BASE, MAX_RANK)


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"null", b'{"r": 8', b"[" * 100_000])
def test_a_configuration_that_is_none_is_kept_from_the_engine(bad: bytes) -> None:
    with pytest.raises(AdapterCorrupt):
        check_adapter(bad, weights(), BASE, MAX_RANK)


@given(cut=st.integers(0, len(weights()) - 1))
def test_a_truncated_file_never_passes(cut: int) -> None:
    with pytest.raises(AdapterCorrupt):
        check_adapter(config(), weights()[:cut], BASE, MAX_RANK)


@given(rest=st.binary(min_size=1, max_size=20))
def test_a_file_with_a_rest_never_passes(rest: bytes) -> None:
    with pytest.raises(AdapterCorrupt):
        check_adapter(config(), weights() + rest, BASE, MAX_RANK)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
headers = st.dictionaries(
    st.sampled_from([FIRST_A, FIRST_B, "x", "__metadata__"]),
    junk
    | st.fixed_dictionaries(
        {"dtype": st.sampled_from(["F32", "F16", "I8"]) | junk, "shape": junk, "data_offsets": junk}
    ),
    max_size=3,
)


@given(header=headers | junk, data=st.binary(max_size=64))
def test_no_header_breaks_the_gate(header: Any, data: bytes) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(AdapterCorrupt):
        check_adapter(config(), len(text).to_bytes(8, "little") + text + data, BASE, MAX_RANK)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_gate(data: bytes) -> None:
    with pytest.raises(AdapterCorrupt):
        check_adapter(config(), data, BASE, MAX_RANK)
    with pytest.raises(AdapterCorrupt):
        check_adapter(data, weights(), BASE, MAX_RANK)


@given(data=st.binary(max_size=100) | junk.map(lambda value: json.dumps(value).encode()))
def test_a_config_that_is_none_is_a_corrupt_base_model(data: bytes) -> None:
    with pytest.raises(BaseModelCorrupt):
        BaseShape.parse(data)
