from typing import Any

import pytest

from proto.errors import BaseModelCorrupt
from services.trainer.core.shape import parse_shape

SMOLLM2: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000,
    "tie_word_embeddings": True,
}
LLAMA31: dict[str, Any] = SMOLLM2 | {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "tie_word_embeddings": False,
}


def test_the_demo_model_has_its_parameters() -> None:
    shape = parse_shape(SMOLLM2)
    assert (shape.parameter_count, shape.head_dim, shape.rope_scale) == (134_515_008, 64, 1)


def test_llama_3_stretches_positions() -> None:
    shape = parse_shape(LLAMA31)
    assert (shape.parameter_count, shape.rope_scale, shape.rope_base) == (8_030_261_248, 8, 500_000)


def test_the_newer_way_to_write_rope_settings_is_read_too() -> None:
    newer = {k: v for k, v in LLAMA31.items() if k not in {"rope_theta", "rope_scaling"}}
    newer["rope_parameters"] = LLAMA31["rope_scaling"] | {"rope_theta": 500000.0}
    assert parse_shape(newer) == parse_shape(LLAMA31)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "qwen2"},
        {"architectures": ["LlamaForSequenceClassification"]},
        {"attention_bias": True},
        {"hidden_size": None},
        {"num_attention_heads": 7},
        {"num_key_value_heads": 2},
        {"head_dim": 128},
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0}},
        {"rope_scaling": "linear"},
    ],
)
def test_a_model_that_would_be_trained_wrongly_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BaseModelCorrupt):
        parse_shape(SMOLLM2 | change)
