"""How much memory a forward pass asks for: what decides whether activations are kept or computed again."""

from services.trainer.core.shape import ModelShape

HEADROOM = 0.7  # of what is free; the rest is for gradients, fragments and a longer batch than the last


def activation_bytes(shape: ModelShape, tokens: int, bytes_per_number: int) -> int:
    """What `tokens` leave behind for the backward pass: each 1.2 MB of SmolLM2 in fp32, 5.1 MB of Llama-3.1-8B in bf16.

    Per layer: the inputs of two norms and of the four groups of projections, queries, keys, values and what attention
    made of them, gate and up side by side, and their product.
    """
    keys = 2 * shape.kv_head_count * shape.head_dim
    per_layer = 8 * shape.hidden_size + 2 * keys + 3 * shape.intermediate_size
    return tokens * shape.layer_count * per_layer * bytes_per_number


def must_recompute(shape: ModelShape, tokens: int, bytes_per_number: int, *, free_bytes: int) -> bool:
    """Whether keeping the activations of a pass would not fit."""
    return activation_bytes(shape, tokens, bytes_per_number) > HEADROOM * free_bytes
