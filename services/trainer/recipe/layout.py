"""Samples of different lengths end to end: the products see no padding, and what all samples begin with only once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a micro-batch lie: `n` of them end to end, and in a rectangle of rows × width slots."""

    rows: int
    width: int
    shared: int  # the first tokens of every row are the same; end to end they stand once, at the beginning
    at: Tensor  # [n] the slot of each token; of a shared one that in the first row
    take: Tensor  # [rows · width] the token of each slot; 0 where the slot is empty
    empty: Tensor  # slots that are padding or repeat a shared token: nothing is read from their attention
    positions: Tensor  # [n]

    @classmethod
    def of(cls, lengths: Sequence[int], shared: int, device: torch.device) -> "Layout":
        """Lay out rows of these lengths."""
        rows, width = len(lengths), max(lengths)
        columns = torch.arange(width)
        length = torch.tensor(lengths).unsqueeze(1)
        own = columns < length  # [rows, width]
        own[1:, :shared] = False
        at = own.flatten().nonzero().squeeze(1)
        take = torch.zeros(rows * width, dtype=torch.long)
        take[at] = torch.arange(len(at))
        take.view(rows, width)[1:, :shared] = columns[:shared]
        empty = (~own).flatten().nonzero().squeeze(1)
        parts = (at, take, empty, at % width)
        return cls(rows, width, shared, *(part.to(device) for part in parts))

    def pad(self, tokens: Tensor) -> Tensor:
        """[n, heads, head_dim] → [rows, heads, width, head_dim], as attention wants it."""
        return _Pad.apply(tokens, self).transpose(1, 2)

    def unpad(self, slots: Tensor) -> Tensor:
        """[rows, heads, width, head_dim] → [n, heads · head_dim]."""
        return _Unpad.apply(slots.transpose(1, 2).flatten(2), self)


class _Pad(torch.autograd.Function):
    """Copy each token to its slot; a shared token collects the gradients of all rows, always in the same order."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return tokens.index_select(0, layout.take).view(layout.rows, layout.width, *tokens.shape[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        layout, grad = ctx.layout, grads[0]
        out = grad.reshape(-1, *grad.shape[2:]).index_select(0, layout.at)
        if layout.shared and layout.rows > 1:
            out[: layout.shared] = grad[:, : layout.shared].sum(0)
        return out, None


class _Unpad(torch.autograd.Function):
    """Read each token from its slot."""

    @staticmethod
    def forward(ctx: Any, slots: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return slots.reshape(-1, slots.shape[-1]).index_select(0, layout.at)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        layout = ctx.layout
        out = grads[0].index_select(0, layout.take).index_fill_(0, layout.empty, 0)
        return out.view(layout.rows, layout.width, -1), None
