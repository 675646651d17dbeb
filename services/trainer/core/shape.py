"""What a base model's ``config.json`` says about it, as far as training needs to know."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import PositiveFloat, PositiveInt, ValidationError

from proto.body import Body
from proto.errors import BaseModelCorrupt

LLAMA3_ROPE = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


class ModelShape(Body):
    """A Llama: SmolLM2, Llama 3.1 and 3.2, and the tiny one of the tests differ only in these numbers."""

    vocab_size: PositiveInt
    hidden_size: PositiveInt
    layer_count: PositiveInt
    head_count: PositiveInt
    kv_head_count: PositiveInt
    intermediate_size: PositiveInt
    max_positions: PositiveInt
    norm_eps: PositiveFloat
    rope_base: PositiveFloat
    rope_scale: PositiveFloat = 1.0  # 1: positions are not stretched
    tied: bool

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.head_count

    @property
    def parameter_count(self) -> int:
        """Weights of the whole model; what the presets go by."""
        attention = 2 * self.hidden_size * (self.hidden_size + self.kv_head_count * self.head_dim)
        mlp = 3 * self.hidden_size * self.intermediate_size
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied else 2)
        return embeddings + self.layer_count * (attention + mlp + 2 * self.hidden_size) + self.hidden_size


def parse_shape(config: Mapping[str, Any]) -> ModelShape:
    """Read a Hugging Face ``config.json``. Raises BaseModelCorrupt for anything the recipe can't train."""
    architectures = config.get("architectures") or ["LlamaForCausalLM"]
    if config.get("model_type") != "llama" or "LlamaForCausalLM" not in architectures:
        raise BaseModelCorrupt("config.json: only Llama models can be trained")
    if config.get("attention_bias") or config.get("mlp_bias"):
        raise BaseModelCorrupt("config.json: a Llama with biases can't be trained")
    rope = _rope(config)
    try:
        shape = ModelShape(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            layer_count=config["num_hidden_layers"],
            head_count=config["num_attention_heads"],
            kv_head_count=config.get("num_key_value_heads") or config["num_attention_heads"],
            intermediate_size=config["intermediate_size"],
            max_positions=config["max_position_embeddings"],
            norm_eps=config.get("rms_norm_eps", 1e-6),
            rope_base=rope.get("rope_theta", config.get("rope_theta", 10_000.0)),
            rope_scale=rope.get("factor", 1.0),
            tied=config.get("tie_word_embeddings", False),
        )
    except (KeyError, ValidationError) as error:
        raise BaseModelCorrupt("config.json: a size is missing or wrong") from error
    whole_heads = shape.head_dim * shape.head_count == shape.hidden_size
    if (
        not whole_heads
        or shape.head_count % shape.kv_head_count
        or config.get("head_dim", shape.head_dim) != shape.head_dim
    ):
        raise BaseModelCorrupt("config.json: the heads don't add up to the hidden size")
    return shape


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rotary settings: ``rope_scaling`` of older folders, ``rope_parameters`` of newer ones."""
    found: object = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(found, dict):
        raise BaseModelCorrupt("config.json: rope settings are no object")
    rope = cast("dict[str, Any]", found)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return {key: value for key, value in rope.items() if key == "rope_theta"}
    if kind != "llama3" or any(rope.get(key, value) != value for key, value in LLAMA3_ROPE.items()):
        raise BaseModelCorrupt("config.json: this kind of rope scaling can't be trained")
    return rope
