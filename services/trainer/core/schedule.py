"""The learning rate of a step. A function of the step alone, so a resumed run needs no scheduler's state."""

import math


def learning_rate(step: int, *, peak: float, warmup_steps: int, step_count: int) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov & Hutter, SGDR, 2017). `step` counts from 0."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, step_count - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
