"""The Llama's layers, the recipe's fast way through torchtune's weights.

Two things make it faster than torchtune's own forward, and neither changes what is computed:

* **No padding.** The products, nine tenths of the work, see the tokens of a micro-batch as one long row, and the
  beginning that all its samples share (the system turn) once (`layout.py`). Only attention, which is cheap at these
  lengths, gets rectangles. The last layer goes on where a word of the persona's follows, and nowhere else.
* **One product per input.** q, k and v read the same tensor, so do gate and up: their frozen weights lie in one matrix
  and their `A` in another (`kernels.py`).

The module tree and the parameters stay torchtune's: what is joined here are views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from services.trainer.recipe.data import IGNORE, MicroBatch
from services.trainer.recipe.kernels import LoRA, RMSNorm, SwiGLU, attend
from services.trainer.recipe.layout import Layout


class Joined:
    """Projections of the same input: one frozen matrix, one matrix of all their `A`, and each its own `B`."""

    def __init__(self, linears: Sequence[Any]) -> None:
        self.linears = linears
        self.sizes = [linear.out_dim for linear in linears]
        self.rank: int = linears[0].rank
        self.scale = linears[0].alpha / linears[0].rank
        self.weight = (
            torch.cat([linear.weight.data for linear in linears]) if len(linears) > 1 else linears[0].weight
        )
        for linear, part in zip(linears, self.weight.split(self.sizes), strict=True):
            linear.weight.data = part  # torchtune's module sees the same memory

    def __call__(self, x: Tensor) -> Tensor:
        """[n, in] → [n, all outs]: W x + (alpha / rank) · B A x (Hu et al., LoRA, 2021)."""
        if self.linears[0].disabled:
            return F.linear(x, self.weight)
        a = [linear.lora_a.weight for linear in self.linears]
        b = [linear.lora_b.weight for linear in self.linears]
        return LoRA.apply(x, self.weight, self.scale, len(a), *a, *b)


class Layer:
    """One decoder layer of torchtune's, the fast way."""

    def __init__(self, layer: Any) -> None:
        self.module = layer
        attention, mlp = layer.attn, layer.mlp
        self.heads, self.kv_heads, self.head_dim = (
            attention.num_heads,
            attention.num_kv_heads,
            attention.head_dim,
        )
        self.qkv = Joined([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = Joined([attention.output_proj])
        self.gate_up = Joined([mlp.w1, mlp.w3])
        self.down = Joined([mlp.w2])

    def __call__(self, x: Tensor, layout: Layout, turns: Tensor, only: Tensor | None = None) -> Tensor:
        """[n, hidden] → [n, hidden], or [len(only), hidden] where no more is asked for."""
        heads, kv_heads = self.heads, self.kv_heads
        both = self.qkv(normed(self.module.sa_norm, x)).view(len(x), heads + 2 * kv_heads, self.head_dim)
        turned = rotate(both[:, : heads + kv_heads], turns)
        q = layout.pad(turned[:, :heads])
        k = layout.pad(turned[:, heads:])
        v = layout.pad(both[:, heads + kv_heads :])
        attended = attend(q, k, v)
        if only is None:
            attended = layout.unpad(attended)
        else:
            slots = attended.transpose(1, 2).reshape(layout.rows * layout.width, -1)
            attended, x = slots.index_select(0, layout.at[only]), x.index_select(0, only)
        x = x + self.out(attended)
        return x + self.down(SwiGLU.apply(self.gate_up(normed(self.module.mlp_norm, x))))


def normed(norm: Any, x: Tensor) -> Tensor:
    """By the frozen scale of torchtune's norm: [n, hidden] → [n, hidden]."""
    return RMSNorm.apply(x, norm.scale, norm.eps)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn neighbouring pairs (Su et al., RoFormer, 2021): [n, heads, head_dim] by [n, 1, head_dim / 2]."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


class Layers:
    """All of them, from token ids to what the head sees."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self.layers = [Layer(layer) for layer in decoder.layers]
        cache = decoder.layers[0].attn.pos_embeddings.cache  # [max_seq_len, head_dim / 2, 2]: cosine, sine
        self._turns = torch.view_as_complex(cache.float().contiguous())
        self.checkpointing = False  # keep only each layer's input and compute the rest again
        self._call: Callable[..., Tensor] = call_layer

    def compile(self) -> None:
        """Let torch.compile fuse what lies between the products."""
        self._call = torch.compile(call_layer, dynamic=True)

    def hidden(self, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """After the last norm, where there is a target, and the targets, row by row: [trained, hidden], [trained]."""
        layout = Layout.of(batch.lengths, batch.shared, batch.tokens.device)
        targets = batch.targets.flatten()[layout.at]
        only = (targets != IGNORE).nonzero().squeeze(1)
        turns = self.turns(layout)
        x = self._decoder.tok_embeddings(batch.tokens.flatten()[layout.at])  # [n, hidden]
        for layer in self.layers:
            wanted = only if layer is self.layers[-1] else None
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(self._call, layer, x, layout, turns, wanted, use_reentrant=False)
            else:
                x = self._call(layer, x, layout, turns, wanted)
        return normed(self._decoder.norm, x), targets[only]

    def turns(self, layout: Layout) -> Tensor:
        """How far each token's pairs are turned: [n, 1, head_dim / 2], complex."""
        return self._turns[layout.positions].unsqueeze(1)


def call_layer(layer: Layer, x: Tensor, layout: Layout, turns: Tensor, only: Tensor | None) -> Tensor:
    """What is compiled, and what is computed again in the backward pass."""
    return layer(x, layout, turns, only)
