"""make bench-inference   (ARGS="--only replicas", or ARGS="--only tiny --share 0.1 --rounds 1" for a quick look)

A replica on a real bus beside vLLM's AsyncLLMEngine asked in its own process: the same prompts, adapters, settings,
operations and cores, turn by turn, both alive all the while. Each round asks both the same, one after the other, in
turn who begins; what counts is the median of the rounds' ratios, since other work on the machine comes and goes.

default   SmolLM2: 1, 16 and 64 questions in flight, then 1, 8 and 64 personas on 16 slots; what a miss costs; what
          sending a persona always to the same replica could gain; the LoRA operation beside vLLM's own
tiny      the tiny model: 512 personas, asked as often as Zipf says, on 16 slots; memory
replicas  two beside one. Two cores can't show it with engines that compute: here the engine's time is simulated
"""

import argparse
import asyncio
import os
import statistics
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from bench.base_model import smollm2
from bench.inference_adapters import Personas
from bench.inference_processes import Replica
from bench.inference_simulated import STEP_S
from bench.inference_straight import Job
from bench.inference_traffic import Ask, Run, evenly, hit_rate, questions, zipf
from bench.inference_world import StraightSide, World, opened
from bench.report import Figures, finish, parser

SLOTS: Final = 16
IN_MEMORY: Final = SLOTS + 1  # what the engine keeps of them at least: the zero adapter has a slot, too
LOOPS: Final = 64
SPIN_S: Final = (
    1.2  # an engine's processes spin for a second after their last step, on cores that the other side needs
)
CONTEXT: Final = 1024
TOKENS: Final = 16
ENGINE: Final = {"generate_loops": LOOPS, "adapter_slots": SLOTS, "context_tokens": CONTEXT}
FEW: Final = 8  # personas that all have a slot
MANY: Final = 64
ALL: Final = 512
THROUGHPUT: Final = 0.95
FIRST_TOKEN_MS: Final = 10.0
SIMULATED_LOOPS: Final = 8


@dataclass(frozen=True)
class Sides:
    """One base model, served both ways."""

    world: World
    personas: Personas
    straight: StraightSide
    replica: Replica
    rounds: int

    async def bus(self, asks: list[Ask], in_flight: int) -> Run:
        """Through the replica."""
        return await self.world.over_the_bus(self.personas, asks, in_flight)

    async def beside(self, what: str, named: list[int], in_flight: int, seed: int) -> tuple[float, float]:
        """Turn by turn: throughput as a share of the engine's own, and what the first token comes later (ms)."""
        ratios: list[float] = []
        later: list[float] = []
        for number in range(self.rounds):
            asks = questions(seed + number, named, TOKENS)
            runs: dict[bool, Run] = {}
            for bus in (False, True) if number % 2 else (True, False):
                await asyncio.sleep(SPIN_S)
                runs[bus] = await (self.bus(asks, in_flight) if bus else self.straight.run(asks, in_flight))
            ratios.append(runs[True].tokens_per_s / runs[False].tokens_per_s)
            later.append(runs[True].first_ms - runs[False].first_ms)
            say(f"{what}: over the bus {runs[True]}; straight {runs[False]}; load {os.getloadavg()[0]:.1f}")
        say(f"{what}: {' · '.join(f'{ratio:.3f}' for ratio in sorted(ratios))}")
        return statistics.median(ratios), statistics.median(later)


async def both_sides(
    stack: AsyncExitStack, world: World, base_model: str, count: int, rounds: int
) -> tuple[Sides, dict[str, str]]:
    """Publish the personas and start an engine with a bus and one without."""
    personas = await world.publish(base_model, count)
    environment = world.environment(base_model, **ENGINE)
    job = Job(model=personas.model, adapters=personas.folders, context=CONTEXT)
    straight = await stack.enter_async_context(world.straight(environment, job))
    replica = await stack.enter_async_context(world.replica(environment))
    return Sides(world, personas, straight, replica, rounds), environment


async def default_model(world: World, share: float, rounds: int) -> Figures:
    """SmolLM2: the price of the bus, of adapters, of misses; the LoRA operation."""
    figures = Figures()
    async with AsyncExitStack() as stack:
        sides, environment = await both_sides(stack, world, str(smollm2()), MANY, rounds)
        await misses(sides, share)
        for in_flight, count in ((1, 8), (16, 48), (LOOPS, 128)):
            named = evenly(part(count, share), FEW, seed=1)
            ratio, later_ms = await sides.beside(f"{in_flight} in flight", named, in_flight, seed=1000)
            figures.least(f"throughput_at_{in_flight}", ratio, THROUGHPUT)
            if in_flight == 1:
                figures.most("first_token_added_ms", later_ms, FIRST_TOKEN_MS)
            if in_flight == LOOPS:
                figures.least(f"throughput_{FEW}_personas", ratio, THROUGHPUT)
        for count in (1, MANY):
            named = evenly(part(128, share), count, seed=2)
            ratio, _ = await sides.beside(f"{count} personas", named, LOOPS, seed=2000)
            figures.least(f"throughput_{count}_personas", ratio, THROUGHPUT)
            say(f"  in the engine's memory, of {IN_MEMORY}: {hit_rate(named, IN_MEMORY):.0%}")
        figures.most("affinity_gain", await affinity(sides, share), 0.05)
        figures.join(await stock_operation(sides, environment, share))
    return figures


async def misses(sides: Sides, share: float) -> None:
    """First token of one question at a time: adapter in a slot, on disk only, in the bucket only."""
    order = list(range(MANY))
    bucket = await sides.bus(questions(1, order, 1), 1)
    disk = await sides.bus(questions(2, order[: part(MANY, share)], 1), 1)
    disk_alone = await sides.straight.run(questions(2, order[: part(MANY, share)], 1), 1)
    slot = await sides.bus(questions(3, [0] * part(32, share), 1), 1)
    slot_alone = await sides.straight.run(questions(3, [0] * part(32, share), 1), 1)
    say(
        f"first token, adapter in a slot: {slot.first_ms:.1f} ms ({slot_alone.first_ms:.1f} straight); from disk "
        f"{disk.first_ms - slot.first_ms:+.1f} ms ({disk_alone.first_ms - slot_alone.first_ms:+.1f}); from the "
        f"bucket {bucket.first_ms - slot.first_ms:+.1f} ms"
    )


async def affinity(sides: Sides, share: float) -> float:
    """What a replica answers more when it is asked for half of the personas only, as each of two would be."""
    every, half = (evenly(part(128, share), count, seed=9) for count in (MANY, MANY // 2))
    gains: list[float] = []
    for number in range(sides.rounds):
        asks = {
            count: questions(3000 + number, named, TOKENS)
            for count, named in ((MANY, every), (MANY // 2, half))
        }
        order = sorted(asks, reverse=bool(number % 2))
        speeds = {count: (await sides.bus(asks[count], LOOPS)).tokens_per_s for count in order}
        gains.append(speeds[MANY // 2] / speeds[MANY] - 1)
    gain = statistics.median(gains)
    say(
        f"affinity: with half of {MANY} personas {gain:+.1%} tokens/s ({min(gains):+.1%} to {max(gains):+.1%}); in the "
        f"engine's memory {hit_rate(every, IN_MEMORY):.0%} and {hit_rate(half, IN_MEMORY):.0%}"
    )
    return gain


async def stock_operation(sides: Sides, environment: dict[str, str], share: float) -> Figures:
    """The engine alone, with our LoRA operation and with vLLM's own."""
    figures = Figures()
    job = Job(model=sides.personas.model, adapters=sides.personas.folders, context=CONTEXT, plugin=False)
    asks = questions(4000, evenly(part(32, share), FEW, seed=4), TOKENS)
    async with sides.world.straight(environment, job) as stock:
        await stock.run(questions(4001, list(range(FEW)), 1), FEW)
        theirs = await stock.run(asks, 16)
        ours = await sides.straight.run(asks, 16)
    say(
        f"LoRA operation at 16 in flight, {FEW} personas: ours {ours.tokens_per_s:.1f} tokens/s and the first after "
        f"{ours.first_ms:.0f} ms, vLLM's {theirs.tokens_per_s:.1f} and {theirs.first_ms:.0f} ms"
    )
    figures.least("lora_operation_vs_stock", ours.tokens_per_s / theirs.tokens_per_s, 1.0)
    return figures


async def tiny_model(world: World, share: float, rounds: int) -> Figures:
    """Hundreds of personas on a model that costs next to nothing: what is left is what we add."""
    figures = Figures()
    async with AsyncExitStack() as stack:
        sides, _ = await both_sides(stack, world, "tiny", ALL, rounds)
        order = questions(5000, list(range(ALL)), 1)
        await sides.bus(order, SLOTS)  # all of them on disk, as after their training
        await sides.straight.run(order, SLOTS)
        for in_flight, count in ((1, 32), (16, 256), (LOOPS, 512)):
            named = evenly(part(count, share), FEW, seed=5)
            ratio, later_ms = await sides.beside(f"tiny, {in_flight} in flight", named, in_flight, seed=6000)
            figures.least(f"tiny_throughput_at_{in_flight}", ratio, THROUGHPUT)
            if in_flight == 1:
                figures.most("tiny_first_token_added_ms", later_ms, FIRST_TOKEN_MS)
        named = zipf(part(1024, share), ALL, seed=6)
        await sides.bus(questions(6999, named, TOKENS), LOOPS)  # fills what may be filled
        downloads, before_mb = await sides.replica.metric("doppel_adapter_downloads_total"), memory(sides)
        ratio, _ = await sides.beside(f"tiny, {ALL} personas", named, LOOPS, seed=7000)
        figures.least(f"tiny_throughput_{ALL}_personas", ratio, THROUGHPUT)
        after_mb = memory(sides)
        fetched = await sides.replica.metric("doppel_adapter_downloads_total") - downloads
        say(
            f"{ALL} personas: {hit_rate(named, IN_MEMORY):.0%} in the engine's memory, "
            f"{1 - fetched / len(named):.0%} on disk; memory of the replica {before_mb:.0f} MB, then {after_mb:.0f} MB"
        )
        figures.most("memory_growth", after_mb / before_mb, 1.05)
    return figures


def memory(sides: Sides) -> float:
    """MB of the replica with its engine."""
    return sides.replica.memory_mb()


async def two_replicas(world: World, share: float, rounds: int) -> Figures:
    """One and two replicas whose engine sleeps instead of computing."""
    figures = Figures()
    personas = await world.publish("tiny", FEW)
    environment = world.environment("tiny", generate_loops=SIMULATED_LOOPS)
    module = "bench.inference_simulated"
    waves = max(3, part(20, share))  # whole ones: a half-empty last one is no matter of replicas
    named = evenly(2 * SIMULATED_LOOPS * waves, FEW, seed=8)
    say("replicas: the engine's time is simulated")
    ratios: list[float] = []
    in_flight = 4 * SIMULATED_LOOPS
    async with world.replica(environment, module):
        for number in range(rounds):
            asks = questions(8000 + number, named, TOKENS)
            await world.over_the_bus(personas, asks[:FEW], FEW)  # adapters on disk
            one = await world.over_the_bus(personas, asks, in_flight)
            async with world.replica(environment, module):
                await world.over_the_bus(personas, asks[: 4 * FEW], in_flight)
                two = await world.over_the_bus(personas, asks, in_flight)
            ratios.append(two.tokens_per_s / one.tokens_per_s)
            say(f"replicas: one {one}; two {two}; no overhead at all: {SIMULATED_LOOPS / STEP_S:.0f} each")
    figures.least("two_replicas_simulated", statistics.median(ratios), 1.9)
    return figures


PARTS: Final = {"default": default_model, "tiny": tiny_model, "replicas": two_replicas}


def part(count: int, share: float) -> int:
    """Of so many questions."""
    return max(2, round(count * share))


def say(text: str) -> None:
    """A line for the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def measure(args: argparse.Namespace) -> Figures:
    """All parts, or the one that is asked for."""
    figures = Figures()
    async with opened() as world:
        for name, measured in PARTS.items():
            if args.only in (None, name):
                figures.join(await measured(world, args.share, args.rounds))
    return figures


def main() -> int:
    """Measure, and end with one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=PARTS, help="one of the parts")
    arguments.add_argument("--share", type=float, default=1.0, help="of the questions")
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each comparison")
    return finish(asyncio.run(measure(arguments.parse_args())), "inference")


if __name__ == "__main__":
    sys.exit(main())
