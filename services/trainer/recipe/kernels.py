"""The pieces of a layer with gradients of our own: less is kept, less is computed, nothing is approximated.

Frozen weights have no gradients here, the rank-r corrections are added in place, and what is cheap to make again in
the backward pass is not kept. Every sum is taken in the same order each time, so that a resumed run repeats an
undisturbed one to the last bit.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 512  # up to this length a rectangle of attention weights is kept
HEAD_ROWS = 256  # logits of so many words at a time: 50 MB of SmolLM2, 130 MB of Llama 3


class LoRA(torch.autograd.Function):
    """Joined projections. The LoRA is kept in fp32 and meets the base in the base's precision."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: float, count: int, *lora: Tensor) -> Tensor:
        a = torch.cat(lora[:count]).to(x.dtype)  # [count · rank, in]
        b = [part.to(x.dtype) for part in lora[count:]]
        middle = (x @ a.T).mul_(scale)  # [n, count · rank]
        out = x @ weight.T
        for out_part, middle_part, b_part in _parts(out, middle, b):
            out_part.addmm_(middle_part, b_part.T)
        ctx.save_for_backward(x, weight, middle, *lora)
        ctx.scale, ctx.count = scale, count
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, weight, middle, *lora = ctx.saved_tensors
        grad, scale, count = grads[0], ctx.scale, ctx.count
        a = torch.cat(lora[:count]).to(x.dtype)
        b = [part.to(x.dtype) for part in lora[count:]]
        grad_middle = torch.empty_like(middle)
        grad_b = []
        for grad_part, middle_part, b_part, into in _parts(grad, middle, b, grad_middle):
            torch.mm(grad_part, b_part, out=into)
            grad_b.append((grad_part.T @ middle_part).float())
        grad_middle.mul_(scale)
        grad_a = (grad_middle.T @ x).float().split([len(part) for part in lora[:count]])
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(grad_middle, a)
        return grad_x, None, None, None, *grad_a, *grad_b


def _parts(wide: Tensor, middle: Tensor, b: Sequence[Tensor], *more: Tensor) -> Any:
    """Columns of each projection: of all outs by its size, of the middles by the rank."""
    rank = b[0].shape[1]
    wides = wide.split([len(part) for part in b], dim=1)
    narrow = (tensor.split(rank, dim=1) for tensor in (middle, *more))
    middles, *others = narrow
    return zip(wides, middles, b, *others, strict=True)


class SwiGLU(torch.autograd.Function):
    """silu(gate) · up of [n, gate and up side by side]; only its input is kept."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, dim=1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        gate, up = both.chunk(2, dim=1)
        grad = grads[0]
        out = torch.empty_like(both)
        grad_gate, grad_up = out.chunk(2, dim=1)
        torch.ops.aten.silu_backward.grad_input(torch.mul(grad, up), gate, grad_input=grad_gate)
        torch.mul(grad, F.silu(gate), out=grad_up)
        return out


class RMSNorm(torch.autograd.Function):
    """x / rms(x) · scale (Zhang and Sennrich, 2019) with a frozen scale, in fp32; in the precision of x when done."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        wide = x.float()
        factor = torch.linalg.vecdot(wide, wide).div_(x.shape[-1]).add_(eps).rsqrt_().unsqueeze(-1)  # [n, 1]
        ctx.save_for_backward(x, scale, factor)
        return (wide * factor).mul_(scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        x, scale, factor = ctx.saved_tensors
        wide = x.float()
        grad = grads[0] * scale
        along = torch.linalg.vecdot(grad, wide).unsqueeze(-1).mul_(factor**3).div_(-x.shape[-1])  # [n, 1]
        return grad.mul_(factor).addcmul_(wide, along).to(x.dtype), None, None


class HeadLoss(torch.autograd.Function):
    """Cross-entropy of a frozen head, summed. Logits and their gradient live for one chunk of rows at a time."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        wants_grad = ctx.needs_input_grad[0]
        grad = torch.empty_like(hidden) if wants_grad else None
        for start in range(0, len(hidden), HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            logits = (hidden[rows] @ head.T).float()  # [rows, vocabulary]
            target = targets[rows].unsqueeze(1)
            normaliser = logits.logsumexp(1, keepdim=True)
            total += (normaliser - logits.gather(1, target)).sum()
            if grad is not None:
                logits.sub_(normaliser).exp_()
                logits.scatter_add_(1, target, torch.full_like(target, -1, dtype=logits.dtype))
                torch.mm(logits.to(head.dtype), head, out=grad[rows])
        if grad is not None:
            ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * grads[0].to(grad.dtype), None, None


def head_loss(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Nats, summed over rows: [n, hidden], [vocabulary, hidden], [n] → []."""
    return HeadLoss.apply(hidden, head, targets)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention, [rows, heads, width, head_dim]. Padding is at the right, so nothing before it sees it."""
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[2] <= SHORT:
        return ShortAttention.apply(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])


class ShortAttention(torch.autograd.Function):
    """Attention by plain products: on a processor in bf16 the fused kernel's backward takes four times as long.

    The query heads that share keys stand one after the other, so that each product is large.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows, heads, width, head_dim = q.shape
        groups = k.shape[1]
        together = (rows * groups, heads // groups * width, head_dim)
        q, k, v = q.reshape(together), k.flatten(0, 1), v.flatten(0, 1)
        scores = torch.bmm(q, k.mT).view(-1, heads // groups, width, width).float()
        scores.mul_(head_dim**-0.5)
        scores.masked_fill_(torch.ones(width, width, dtype=torch.bool).triu_(1), -torch.inf)
        weights = scores.softmax(-1).to(q.dtype).view(*together[:2], width)
        ctx.save_for_backward(q, k, v, weights)
        ctx.shape = (rows, groups, width, head_dim)
        return torch.bmm(weights, v).view(rows, heads, width, head_dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, weights = ctx.saved_tensors
        rows, groups, width, head_dim = ctx.shape
        grad = grads[0].reshape(q.shape)
        grad_v = torch.bmm(weights.mT, grad)
        grad_weights = torch.bmm(grad, v.mT)
        dot = torch.linalg.vecdot(grad_weights, weights).unsqueeze(-1)
        grad_scores = grad_weights.sub_(dot).mul_(weights).mul_(head_dim**-0.5)
        grad_q = torch.bmm(grad_scores, k)
        grad_k = torch.bmm(grad_scores.mT, q)
        of_keys = (rows, groups, width, head_dim)
        return grad_q.view(rows, -1, width, head_dim), grad_k.view(of_keys), grad_v.view(of_keys)
