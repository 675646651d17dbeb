"""The one place that touches torchtune: a Llama with LoRA, its loss on the persona's words, and the way out to PEFT.

torchtune is frozen at 0.6.1. What we take from it are the Llama's modules, LoRALinear and the weight conversions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchtune.models import convert_weights
from torchtune.models.llama3_2 import lora_llama3_2
from torchtune.modules.peft import LoRALinear, get_adapter_state_dict, get_lora_module_names

from proto.artifacts import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE
from proto.errors import BaseModelCorrupt
from services.trainer.core.plan import Device, Plan
from services.trainer.core.shape import ModelShape
from services.trainer.recipe.data import MicroBatch
from services.trainer.recipe.kernels import head_loss
from services.trainer.recipe.layers import Layers

ATTENTION = ["q_proj", "k_proj", "v_proj", "output_proj"]
INDEX_FILE = "model.safetensors.index.json"
WEIGHTS_FILE = "model.safetensors"


class PersonaModel:
    """A frozen base with a trainable LoRA on every projection. With B = 0, as it starts, it is the base."""

    def __init__(
        self, decoder: nn.Module, shape: ModelShape, *, device: Device, lora: tuple[int, float]
    ) -> None:
        self.decoder = decoder
        self.shape = shape
        self.device: Device = device
        self.precision = "fp32"
        self.base_sha256 = ""  # which base these weights are; a checkpoint remembers it
        self._rank, self._alpha = lora
        # The head is applied by hand, at trained positions only: with 49,152 words it costs as much as many layers.
        self._head: Tensor = decoder.tok_embeddings.weight if shape.tied else decoder.output.weight  # type: ignore[assignment, union-attr]
        decoder.output = nn.Identity()
        self._layers: Layers | None = None  # made when the base's tensors are in their last precision

    @classmethod
    def of_plan(cls, folder: Path, shape: ModelShape, plan: Plan, *, device: Device) -> Self:
        """With the adapter that a run trains. Raises BaseModelCorrupt."""
        return cls.load(
            folder,
            shape,
            rank=plan.lora_rank,
            alpha=plan.lora_alpha,
            max_seq_len=plan.max_seq_len,
            seed=plan.seed,
            device=device,
        )

    @classmethod
    def load(
        cls,
        folder: Path,
        shape: ModelShape,
        *,
        rank: int,
        alpha: float,
        max_seq_len: int,
        seed: int,
        device: Device,
    ) -> Self:
        """Build on no memory, then put the base's tensors in place. Raises BaseModelCorrupt."""
        if shape.rope_base != int(shape.rope_base) or shape.rope_scale != int(shape.rope_scale):
            raise BaseModelCorrupt("config.json: rope settings are not whole numbers")
        with torch.device("meta"):
            decoder = lora_llama3_2(
                ATTENTION,  # type: ignore[arg-type]
                apply_lora_to_mlp=True,
                vocab_size=shape.vocab_size,
                num_layers=shape.layer_count,
                num_heads=shape.head_count,
                num_kv_heads=shape.kv_head_count,
                embed_dim=shape.hidden_size,
                max_seq_len=max_seq_len,
                intermediate_dim=shape.intermediate_size,
                norm_eps=shape.norm_eps,
                rope_base=int(shape.rope_base),
                scale_factor=int(shape.rope_scale),
                tie_word_embeddings=shape.tied,
                lora_rank=rank,
                lora_alpha=alpha,
            )
        torch.manual_seed(seed)  # lora_a is drawn at random
        for module in decoder.modules():
            if hasattr(module, "rope_init"):
                module.rope_init()  # type: ignore[operator]
            if isinstance(module, LoRALinear):
                module.to_empty(device="cpu")
                module.initialize_parameters()
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        _put_base(decoder, _read_base(folder, dtype), shape)
        for name, parameter in decoder.named_parameters():
            parameter.requires_grad_(is_lora(name))  # load_state_dict(assign=True) forgets this
            if is_norm(name):  # torch has no fast norm of mixed precisions
                parameter.data = parameter.data.float()
        decoder.to(device)
        model = cls(decoder, shape, device=device, lora=(rank, alpha))
        if device == "cuda":
            model.precision = "bf16"
        return model

    def to_bf16(self) -> None:
        """Halve the base. The LoRA and the norms' few weights stay fp32."""
        for name, parameter in self.decoder.named_parameters():
            if not (is_lora(name) or is_norm(name)):
                parameter.data = parameter.data.to(torch.bfloat16)
        self._head.data = self._head.data.to(torch.bfloat16)
        self.precision = "bf16"
        self._layers = None

    def autocast(self) -> AbstractContextManager[Any]:
        """Matrix products in bf16 where the base is bf16."""
        return torch.autocast(self.device, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def hidden(self, tokens: Tensor) -> Tensor:
        """[batch, seq] → [batch, seq, hidden], after the last norm."""
        return self.decoder(tokens)

    def logits(self, tokens: Tensor) -> Tensor:
        """All logits, for tests and reports: [batch, seq] → [batch, seq, vocabulary]."""
        with self.autocast():
            return F.linear(self.hidden(tokens).to(self._head.dtype), self._head).float()

    def next_logits(self, tokens: Tensor, *, mask: Tensor, positions: Tensor) -> Tensor:
        """Of the token that follows each row, with key-value caches set up: [batch, seq] → [batch, vocabulary]."""
        with self.autocast():
            last = self.decoder(tokens, mask=mask, input_pos=positions)[:, -1]  # [batch, hidden]
            return F.linear(last.to(self._head.dtype), self._head).float()

    def likeliest(self, batch: MicroBatch) -> Tensor:
        """The token that greedy decoding would write at each of the persona's positions, row by row: [trained]."""
        at_targets, _ = self.layers.hidden(batch)  # [trained, hidden]
        return F.linear(at_targets.to(self._head.dtype), self._head).argmax(dim=-1)

    def summed_loss(self, batch: MicroBatch) -> Tensor:
        """Cross-entropy in nats, summed over the persona's tokens; logits are computed only there."""
        at_targets, targets = self.layers.hidden(batch)  # [trained, hidden], [trained]
        return head_loss(at_targets, self._head, targets)

    @property
    def layers(self) -> Layers:
        """The fast way through the same weights."""
        if self._layers is None:
            with torch.inference_mode(False):  # a look at the held-out loss may come first
                self._layers = Layers(self.decoder)
        return self._layers

    def lora_parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by torchtune's names, in a fixed order."""
        return {name: parameter for name, parameter in self.decoder.named_parameters() if is_lora(name)}

    def lora_state(self) -> dict[str, Tensor]:
        """A copy of the trained tensors on the CPU."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.lora_parameters().items()}

    def load_lora_state(self, state: Mapping[str, Tensor]) -> None:
        """Put tensors of `lora_state` back. Raises KeyError for a state of another shape."""
        with torch.no_grad():
            for name, parameter in self.lora_parameters().items():
                if state[name].shape != parameter.shape:
                    raise KeyError(name)
                parameter.copy_(state[name])

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """The plain base model for a while."""
        layers = [module for module in self.decoder.modules() if isinstance(module, LoRALinear)]
        for layer in layers:
            layer.disabled = True
        try:
            yield
        finally:
            for layer in layers:
                layer.disabled = False

    def export(self, folder: Path, *, base_model: str) -> None:
        """Write what PEFT and vLLM load: ``adapter_model.safetensors`` and ``adapter_config.json``."""
        shape = self.shape
        weights = convert_weights.tune_to_peft_adapter_weights(
            get_adapter_state_dict(self.lora_state()),
            num_heads=shape.head_count,
            num_kv_heads=shape.kv_head_count,
            dim=shape.hidden_size,
            head_dim=shape.head_dim,
        )
        config = convert_weights.tune_to_peft_adapter_config(
            {
                "r": self._rank,
                "lora_alpha": self._alpha,
                "target_modules": get_lora_module_names(ATTENTION, True, False),  # type: ignore[arg-type]
                "peft_type": "LORA",
                "task_type": "CAUSAL_LM",
                "bias": "none",
            },
            base_model_name_or_path=base_model,
        )
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in weights.items()}, folder / ADAPTER_WEIGHTS_FILE
        )
        (folder / ADAPTER_CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def is_lora(name: str) -> bool:
    """Whether a parameter belongs to the adapter."""
    return ".lora_a." in name or ".lora_b." in name


def is_norm(name: str) -> bool:
    """Whether a parameter is the weight of an RMSNorm."""
    return name.endswith(".scale")


def _base_files(folder: Path) -> Iterable[Path]:
    """The shards that the index names, or the one file."""
    index = folder / INDEX_FILE
    if not index.exists():
        return [folder / WEIGHTS_FILE]
    weight_map = cast("dict[str, str]", json.loads(index.read_bytes())["weight_map"])
    return [folder / Path(name).name for name in sorted(set(weight_map.values()))]


def _read_base(folder: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    try:
        for path in _base_files(folder):
            found.update({name: tensor.to(dtype) for name, tensor in load_file(path).items()})
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise BaseModelCorrupt("the base model's weights") from error
    return found


def _put_base(decoder: nn.Module, weights: dict[str, Tensor], shape: ModelShape) -> None:
    """Give the decoder the base's tensors, renamed and with q and k permuted as torchtune's rotation wants them."""
    if shape.tied:
        weights.pop("lm_head.weight", None)  # some folders store it twice
    try:
        renamed = convert_weights.hf_to_tune(
            weights,
            num_heads=shape.head_count,
            num_kv_heads=shape.kv_head_count,
            dim=shape.hidden_size,
            head_dim=shape.head_dim,
        )
        missing, unexpected = decoder.load_state_dict(renamed, strict=False, assign=True)
    except Exception as error:
        raise BaseModelCorrupt("the base model's weights don't fit its config.json") from error
    if unexpected or any(not is_lora(name) for name in missing):
        raise BaseModelCorrupt("the base model's weights don't fit its config.json")
