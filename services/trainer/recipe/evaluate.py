"""How well the model foresees the persona's words: nats per persona token, lower is better."""

from collections.abc import Sequence

import torch

from services.trainer.recipe.control import Control
from services.trainer.recipe.data import Example, micro_batches
from services.trainer.recipe.model import PersonaModel


@torch.inference_mode()
def held_out_loss(
    model: PersonaModel, examples: Sequence[Example], *, tokens: int, control: Control
) -> float:
    """Mean cross-entropy over the persona's tokens of samples that were not trained on. Raises Stop."""
    total, count = 0.0, 0
    for batch in micro_batches(examples, tokens=tokens, device=model.device):
        control.check()
        total += model.summed_loss(batch).item()
        count += batch.trained_tokens
    return total / max(1, count)


def base_and_adapter_loss(
    model: PersonaModel, examples: Sequence[Example], *, tokens: int, control: Control
) -> tuple[float, float]:
    """The same samples through the plain base, then through base and adapter."""
    with model.as_base():
        base = held_out_loss(model, examples, tokens=tokens, control=control)
    return base, held_out_loss(model, examples, tokens=tokens, control=control)
