"""Drawing tokens on a processor, in place of vLLM's way: runs inside the engine's own processes.

There, top-p sorts the vocabulary for each answer and each token, and a repetition penalty counts each token of the
vocabulary: 5 ms a token and answer, more than the small model itself. Here nothing is sorted: a token is drawn from the
whole distribution and taken if it lies in the nucleus, else drawn again from what is likelier. That gives the same
distribution (rejection sampling with a rising pivot, as FlashInfer does on GPUs), in 0.2 ms.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch.nn.functional import threshold


def replace() -> None:
    """Put it where vLLM looks (private names of the version that `plugin.py` checks)."""
    from vllm.v1.sample import sampler
    from vllm.v1.sample.ops import topk_topp_sampler

    calling = cast("Any", sampler)
    module = cast("Any", topk_topp_sampler)
    module.TopKTopPSampler.forward_cpu = drawing_or(module.TopKTopPSampler.forward_cpu)
    calling.apply_all_penalties = penalties_or(calling.apply_all_penalties)


def drawing_or(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The sampler's method; what we never ask for is left to vLLM's."""

    def forward(self: Any, logits: Any, generators: Any, k: Any, p: Any) -> Any:
        if k is not None or self.use_fp64_gumbel or self.logprobs_mode.startswith("processed"):
            return stock(self, logits, generators, k, p)
        return draw(logits, generators, p), None

    return forward


def penalties_or(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The penalties' function; what we never ask for is left to vLLM's."""

    # Names and order of the parameters are vLLM's.
    def apply(
        logits: torch.Tensor,
        prompt_token_ids: torch.Tensor,
        presence_penalties: torch.Tensor,
        frequency_penalties: torch.Tensor,
        repetition_penalties: torch.Tensor,
        output_token_ids: list[list[int]],
    ) -> torch.Tensor:
        if bool(presence_penalties.any()) or bool(frequency_penalties.any()):
            return stock(
                logits,
                prompt_token_ids,
                presence_penalties,
                frequency_penalties,
                repetition_penalties,
                output_token_ids,
            )
        penalties = repetition_penalties.tolist()
        for row, (penalty, written) in enumerate(zip(penalties, output_token_ids, strict=True)):
            if penalty != 1:
                weaken(
                    logits[row],
                    torch.cat((prompt_token_ids[row], torch.tensor(written, dtype=torch.long))),
                    penalty,
                )
        return logits

    return apply


def weaken(logits: torch.Tensor, tokens: torch.Tensor, penalty: float) -> None:
    """Make tokens that occurred less likely, in place. [vocabulary]; ids outside of it are padding."""
    tokens = tokens[(tokens >= 0) & (tokens < len(logits))]
    found = logits[tokens]
    logits[tokens] = torch.where(
        found > 0, found / penalty, found * penalty
    )  # one that occurs twice: the same twice


def draw(
    logits: torch.Tensor, generators: Mapping[int, torch.Generator], top_p: torch.Tensor | None
) -> torch.Tensor:
    """One token per row of [rows, vocabulary]; each row by its own generator, where it has one."""
    rows = logits.softmax(-1)
    shares = [1.0] * len(rows) if top_p is None else top_p.tolist()
    drawn = [
        draw_one(row, share, generators.get(i))
        for i, (row, share) in enumerate(zip(rows, shares, strict=True))
    ]
    return torch.tensor(drawn, dtype=torch.long)


def draw_one(probabilities: torch.Tensor, top_p: float, generator: torch.Generator | None) -> int:
    """A token of the nucleus: the likeliest ones that together reach `top_p`, equal ones alike. [vocabulary]"""
    left = probabilities
    while True:
        below = left.cumsum(0)
        total = below[-1]
        aim = torch.minimum(
            torch.rand((), generator=generator) * total, torch.nextafter(total, torch.zeros(()))
        )
        token = min(int(torch.searchsorted(below, aim, right=True)), len(left) - 1)
        left = threshold(left, float(left[token]), 0.0)  # only what is likelier than the drawn one
        if not float(left.sum()) >= top_p:  # also where the model's numbers are none
            return token
