"""What one request becomes for the engine: which turns, how many tokens, how drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from proto.conversation import Turn
from proto.generate import Sampling

SEED_BITS: Final = 63
LOOPS_ON_CPU: Final = 64  # beyond, a step only takes longer
LOOPS_ON_GPU: Final = 256
SHARE_OF_WINDOW: Final = 4  # a conversation and its reply fill a quarter of the window, more or less
FEWEST_LOOPS: Final = 4


@dataclass(frozen=True)
class Room:
    """How the context window is shared between prompt and reply."""

    prompt_tokens: int
    reply_tokens: int


@dataclass(frozen=True)
class Drawing:
    """How to draw tokens: what the engine is told."""

    max_tokens: int
    temperature: float
    top_p: float
    repetition_penalty: float
    stop: tuple[str, ...]
    stop_ids: tuple[int, ...]
    seed: int


def most_loops(*, on_gpu: bool) -> int:
    """How many requests an engine is prepared to batch."""
    return LOOPS_ON_GPU if on_gpu else LOOPS_ON_CPU


def plan_loops(cache_tokens: int, context: int, most: int) -> int:
    """How many requests to take from the bus at once: as many as the engine's cache holds, the rest stays there."""
    return max(FEWEST_LOOPS, min(most, SHARE_OF_WINDOW * cache_tokens // context))


def plan_room(sampling: Sampling, context: int) -> Room:
    """A reply may take what it asks for, but never more than half of the window: the question matters more."""
    reply = max(1, min(sampling.max_tokens, context // 2))
    return Room(prompt_tokens=context - reply, reply_tokens=reply)


def plan_turns(turns: Sequence[Turn], system: str) -> tuple[Turn, ...]:
    """The system turn first: what the adapter was trained with, then the conversation."""
    return (Turn(role="system", content=system), *turns)


def has_own_system(turns: Sequence[Turn]) -> bool:
    """Whether the asker brings a system turn; the plain base model then follows it instead of ours."""
    return bool(turns) and turns[0].role == "system"


def plan_drawing(sampling: Sampling, room: Room, stop_ids: Sequence[int], request_id: UUID) -> Drawing:
    """The seed comes from the request, so that a redelivery draws the same answer."""
    seed = sampling.seed if sampling.seed is not None else request_id.int
    return Drawing(
        max_tokens=room.reply_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        stop=tuple(text for text in sampling.stop if text),
        stop_ids=tuple(stop_ids),
        seed=seed % (1 << SEED_BITS),
    )
