"""A few answers straight from the model in memory: a batch of prompts, padded at the left, with a key-value cache."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor
from torchtune.modules.common_utils import local_kv_cache

from proto.generate import Sampling
from services.trainer.recipe.control import Control
from services.trainer.recipe.model import PersonaModel

PAD = 0  # any id: the mask hides it


@dataclass(frozen=True)
class Drawing:
    """How answers are drawn, and for how long at most."""

    new_tokens: int
    end_ids: tuple[int, ...]
    seed: int
    sampling: Sampling = field(default_factory=Sampling)
    until: float = float("inf")  # monotonic seconds; answers under way are cut there


@torch.inference_mode()
def generate(
    model: PersonaModel, prompts: Sequence[Sequence[int]], drawing: Drawing, *, control: Control
) -> list[list[int]]:
    """One answer to each prompt, without its end token. The same seed draws the same words. Raises Stop."""
    device = torch.device(model.device)
    width, count = max(map(len, prompts)), len(prompts)
    total = width + drawing.new_tokens
    pads = torch.tensor([width - len(prompt) for prompt in prompts], device=device)  # [batch]
    tokens = torch.tensor([[PAD] * (width - len(p)) + list(p) for p in prompts], device=device)
    rng = torch.Generator().manual_seed(drawing.seed)
    seen = _seen(tokens, pads, model.shape.vocab_size)  # [batch, vocabulary]
    answers: list[list[int]] = [[] for _ in prompts]
    open_rows = set(range(count))
    cache_dtype = torch.bfloat16 if model.precision == "bf16" else torch.float32
    with (
        torch.compiler.set_stance("force_eager"),  # every new length would be compiled anew
        local_kv_cache(
            model.decoder, batch_size=count, device=device, dtype=cache_dtype, decoder_max_seq_len=total
        ),
    ):
        start = 0  # where in the cache the next tokens go
        for _ in range(drawing.new_tokens):
            control.check()
            if time.monotonic() > drawing.until:
                break
            at = torch.arange(start, start + tokens.shape[1], device=device)
            logits = model.next_logits(
                tokens,
                mask=_mask(at, pads, total),
                positions=(at - pads[:, None]).clamp(min=0),
            )  # [batch, vocabulary]
            drawn = draw(logits.cpu(), seen.cpu(), drawing.sampling, rng)
            start += tokens.shape[1]
            for row in sorted(open_rows):
                token = int(drawn[row])
                if token in drawing.end_ids:
                    open_rows.discard(row)
                else:
                    answers[row].append(token)
            if not open_rows:
                break
            tokens = drawn[:, None].to(device)
            seen.scatter_(1, tokens, value=True)
    return answers


def draw(logits: Tensor, seen: Tensor, sampling: Sampling, rng: torch.Generator) -> Tensor:
    """One token per row, as the engine draws it: repetition penalty, temperature, then the top_p nucleus."""
    penalty = sampling.repetition_penalty
    logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    ordered, ids = torch.sort(F.softmax(logits / sampling.temperature, dim=-1), descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= sampling.top_p  # the first token is never outside
    ordered = ordered.masked_fill(outside, 0.0)
    return ids.gather(1, torch.multinomial(ordered, 1, generator=rng)).squeeze(1)


def _mask(at: Tensor, pads: Tensor, total: int) -> Tensor:
    """[batch, new, total]: what came before, without padding. A padded place sees itself: nothing at all gives NaN."""
    places = torch.arange(total, device=at.device)
    before = places[None, None, :] <= at[None, :, None]
    real = places[None, None, :] >= pads[:, None, None]
    itself = places[None, None, :] == at[None, :, None]
    return (before & real) | itself


def _seen(tokens: Tensor, pads: Tensor, vocabulary: int) -> Tensor:
    seen = torch.zeros(tokens.shape[0], vocabulary, dtype=torch.bool, device=tokens.device)
    for row, pad in enumerate(pads.tolist()):
        seen[row, tokens[row, pad:]] = True
    return seen
