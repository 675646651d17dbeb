"""The traffic of the inference bench: who is asked what, and how both sides are driven with the same of it."""

import asyncio
import itertools
import random
import statistics
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pydantic import BaseModel

from proto.conversation import Turn

SYSTEM: Final = "You are Ada, who works here. Continue the workspace conversation below in your own voice."
THINGS: Final = (
    "deploy",
    "build",
    "cache",
    "release",
    "invoice",
    "lunch",
    "search",
    "backup",
    "index",
    "queue",
)
STATES: Final = ("slow since this morning", "red again", "almost done", "nobody's job", "in the wrong place")
LIMIT_S: Final = 300.0  # one run of the traffic may take so long


class Ask(BaseModel):
    """One question to one persona."""

    persona: int
    text: str
    max_tokens: int

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The conversation."""
        return (Turn(role="user", content=self.text),)


class Served(BaseModel):
    """One answer, as whoever asked saw it."""

    first_s: float
    tokens: int


class Run(BaseModel):
    """What a side made of the traffic."""

    wall_s: float
    served: list[Served]

    def __str__(self) -> str:
        """For a table."""
        return f"{self.tokens_per_s:.1f} tokens/s, the first after {self.first_ms:.1f} ms"

    @property
    def tokens_per_s(self) -> float:
        """Throughput."""
        return sum(one.tokens for one in self.served) / self.wall_s

    @property
    def first_ms(self) -> float:
        """Median time to the first token."""
        return 1000 * statistics.median(one.first_s for one in self.served)


def questions(seed: int, personas: Sequence[int], max_tokens: int) -> list[Ask]:
    """One for each of the personas named, in their order; no two texts are alike, so that no cache knows them."""
    rng = random.Random(seed)
    return [
        Ask(
            persona=persona,
            text=f"Bob: the {rng.choice(THINGS)} of {rng.randrange(10**6)} is {rng.choice(STATES)}, isn't it?",
            max_tokens=max_tokens,
        )
        for persona in personas
    ]


def evenly(count: int, personas: int, seed: int) -> list[int]:
    """Each persona as often as any other, in disorder."""
    named = [number % personas for number in range(count)]
    random.Random(seed).shuffle(named)
    return named


def zipf(count: int, personas: int, seed: int) -> list[int]:
    """The n-th persona is asked 1/n as often as the first."""
    weights = [1 / rank for rank in range(1, personas + 1)]
    return random.Random(seed).choices(range(personas), weights, k=count)


def hit_rate(named: Sequence[int], places: int) -> float:
    """How often a persona is among the last so many: what a cache of that size finds at best in this order."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for persona in named:
        hits += persona in kept
        kept[persona] = None
        kept.move_to_end(persona)
        if len(kept) > places:
            kept.popitem(last=False)
    return hits / len(named)


async def drive(answer: Callable[[Ask], Awaitable[Served]], asks: Sequence[Ask], in_flight: int) -> Run:
    """Always so many under way, until all are answered. Raises TimeoutError."""
    waiting = iter(asks)
    served: list[Served] = []

    async def one_after_the_other() -> None:
        for ask in waiting:
            served.append(await answer(ask))  # noqa: PERF401  as each comes, not when all have

    began = time.perf_counter()
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        for _ in itertools.repeat(None, min(in_flight, len(asks))):
            group.create_task(one_after_the_other())
    return Run(wall_s=time.perf_counter() - began, served=served)
