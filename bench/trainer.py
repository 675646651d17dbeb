"""make bench-trainer   (ARGS="--steps 4 --rounds 1" for a quick look)

Our recipe beside torchtune's stock single-device LoRA recipe: the same samples, base model, LoRA, batch, rate, threads
and machine, each in a process of its own, one after the other, several times. Held-out loss is measured by one and the
same code on the adapters that both left. Then the ways to lay out a batch, side by side in one process.

Samples are one person's of ``../shared/data/ubuntu-irc``, or made-up ones where that is not there.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import stock_recipe, voice_data
from bench.base_model import CACHE, ROOT, smollm2
from bench.real_history import DATA
from bench.report import Figures, finish, parser
from bench.stock_recipe import SAMPLES_FILE
from doppel.basemodel.prompt import PromptEncoder
from proto.artifacts import Split, split_file
from proto.conversation import Sample, Turn
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides
from services.scraper.adapters.shards import write_lines
from services.trainer.core.plan import Plan, plan_run
from services.trainer.handlers.train import read_shape
from services.trainer.settings import child_environment

STOCK, STOCK_BF16, FP32, AUTO = "stock, fp32", "stock, bf16", "ours, fp32", "ours, as chosen"
LIMIT_S = 1200


class Bench:
    """What both sides get."""

    def __init__(self, cache: Path, work: Path, *, steps: int, threads: int, data: Path) -> None:
        self.base, self.threads, self.steps = smollm2(), threads, steps
        self.work = work
        self.shape = read_shape(self.base)
        self.name, self.dataset, self.source = find_samples(data, cache, self.base)
        self.plan = self.make_plan()

    def make_plan(self) -> Plan:
        """The plan that the trainer makes by default, for as many samples as the bench has steps for."""
        batch = stock_recipe.BATCH * stock_recipe.ACCUMULATED
        return plan_run(
            SampleCounts(train=self.steps * batch, validation=24, test=60),
            self.shape,
            RecipeOverrides(
                batch_size=batch, max_steps=self.steps, validation_steps=10_000, validation_samples=8
            ),
            user_id="U0BENCH",
            device="cpu",
            max_lora_rank=32,
            min_samples=1,
        )

    def environment(self, *, ours: bool) -> dict[str, str]:
        """Of a side's processes: ours run as the trainer starts them, stock as anybody would, with the same threads."""
        started = child_environment(self.threads) if ours else dict(os.environ)  # noqa: TID251  a bench starts processes
        return started | {
            "OMP_NUM_THREADS": str(self.threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "HF_HUB_OFFLINE": "1",
        }

    def child(self, what: str, **more: Any) -> Any:
        """Run a part of this bench in a process of its own; returns what it found."""
        job = {
            "base": str(self.base),
            "dataset": str(self.dataset),
            "work": str(self.work),
            "threads": self.threads,
            "name": self.name,
            "shape": self.shape.model_dump(),
            "plan": self.plan.model_dump(),
        }
        found = subprocess.run(
            [sys.executable, "-m", "bench.trainer_child", what, json.dumps(job | more)],
            env=self.environment(ours=True),
            cwd=ROOT,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        if found.returncode:
            raise SystemExit(f"{what} failed:\n{found.stderr.decode()[-2000:]}")
        return json.loads(found.stdout.splitlines()[-1])

    def train(self, side: str) -> dict[str, float]:
        """One training; returns samples per second by wall clock and by processor time, peak memory, held-out loss."""
        if side in (STOCK, STOCK_BF16):
            settings = stock_recipe.config(
                self.base,
                self.work,
                shape=self.shape,
                plan=self.plan,
                dtype="bf16" if side == STOCK_BF16 else "fp32",
            )
            steps = stock_recipe.run(self.work, settings, self.environment(ours=False))
            adapter = str(self.work / "out" / "epoch_0" / "adapter_model.pt")
            precision = "bf16" if side == STOCK_BF16 else "fp32"
        else:
            found = self.child("train", precision="fp32" if side == FP32 else "auto")
            steps, adapter, precision = found["steps"], found["adapter"], found["precision"]
        shown = (len(steps) - 1) * self.plan.batch_size  # the first step warms up
        return {
            "samples_s": shown / (steps[-1]["wall_s"] - steps[0]["wall_s"]),
            "samples_cpu_s": shown / (steps[-1]["cpu_s"] - steps[0]["cpu_s"]),
            "peak_gb": max(step["peak_bytes"] for step in steps) / 1e9,
            "held_out": self.child("held_out", adapter=adapter)["loss"],
            "bf16": float(precision == "bf16"),
        }


def find_samples(data: Path, cache: Path, base: Path) -> tuple[str, Path, str]:
    """A person's name, the folder of their dataset, and what to call it."""
    if data.exists():
        voice = voice_data.prepare(data, cache / "voices", 1, PromptEncoder.from_folder(base))[0]
        return voice.name, voice.folder, f"{voice.name} of ubuntu-irc"
    folder = cache / "made-up"
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    words = [f"{a}{b}" for a in ("re", "un", "de", "co") for b in ("build", "load", "test", "mount", "link")]
    counts: dict[Split, int] = {"train": 200, "validation": 24, "test": 60}
    for split, count in counts.items():
        samples = (
            Sample(
                turns=(Turn(role="user", content=" ".join(rng.choices(words, k=rng.randint(10, 60)))),),
                response=" ".join(rng.choices(words, k=rng.randint(4, 20))),
                channel_id="C1",
                ts=f"170{i:07d}.000100",
            )
            for i in range(count)
        )
        name = split_file(split)
        write_lines(folder / name, name, (sample.model_dump_json().encode() for sample in samples))
    return "Made Up", folder, "synthetic"


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """The fastest of several runs: what slows one down is never the recipe."""
    return max(runs, key=lambda run: run["samples_s"]) | {
        "samples_cpu_s": max(run["samples_cpu_s"] for run in runs),
        "peak_gb": min(run["peak_gb"] for run in runs),
    }


def main() -> int:
    """Print the table; the last line is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--steps", type=int, default=10, help="optimizer steps of 8 samples in each training"
    )
    arguments.add_argument("--rounds", type=int, default=2, help="how often each side trains")
    arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--cache", type=Path, default=CACHE / "trainer")
    arguments.add_argument("--skip", choices=("layouts", "recipes"), help="one of the two parts")
    args = arguments.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-trainer-") as work:
        bench = Bench(args.cache, Path(work), steps=args.steps, threads=args.threads, data=args.data)
        figures = measure(bench, args.rounds, skip=args.skip)
    return finish(figures, "trainer")


def measure(bench: Bench, rounds: int, *, skip: str | None) -> Figures:
    """Both parts."""
    print(
        f"{bench.source}, {bench.plan.step_count} steps of {bench.plan.batch_size} samples, "
        f"rank {bench.plan.lora_rank}, at most {bench.plan.max_seq_len} tokens, {bench.threads} threads"
    )
    figures = Figures()
    if skip != "recipes":
        figures.join(compare_recipes(bench, rounds))
    if skip != "layouts":
        compare_layouts(bench)
    return figures


def compare_recipes(bench: Bench, rounds: int) -> Figures:
    """Both recipes, interleaved."""
    examples = bench.child("examples")["samples"]
    (bench.work / SAMPLES_FILE).write_text(json.dumps(examples))
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in (STOCK, FP32, AUTO)}
    for number in range(rounds):
        for side in runs:
            found = bench.train(side)
            runs[side].append(found)
            print(f"  round {number + 1}: {side}: {found['samples_s']:.2f} samples/s", flush=True)
    sides = {side: best(found) for side, found in runs.items()}
    sides[STOCK_BF16] = bench.train(STOCK_BF16)
    stock = sides[STOCK]
    print(f"\n{'recipe':<24} {'samples/s':>9} {'×':>5} {'by CPU time ×':>14} {'peak GB':>8} {'held-out':>9}")
    for side, found in sides.items():
        chosen = " (bf16)" if side == AUTO and found["bf16"] else ""
        print(
            f"{side + chosen:<24} {found['samples_s']:>9.2f} {found['samples_s'] / stock['samples_s']:>5.2f} "
            f"{found['samples_cpu_s'] / stock['samples_cpu_s']:>14.2f} {found['peak_gb']:>8.2f} "
            f"{found['held_out']:>9.4f}"
        )
    figures = Figures()
    figures.least("samples_per_s_fp32", sides[FP32]["samples_s"] / stock["samples_s"], 2.0)
    if sides[AUTO]["bf16"]:
        figures.least("samples_per_s_bf16", sides[AUTO]["samples_s"] / stock["samples_s"], 2.7)
    figures.most("peak_memory_fp32", sides[FP32]["peak_gb"] / stock["peak_gb"], 0.85)
    figures.most("peak_memory_as_chosen", sides[AUTO]["peak_gb"] / stock["peak_gb"], 0.85)
    figures.most("held_out_loss_fp32", sides[FP32]["held_out"] / stock["held_out"], 1.01)
    figures.most("held_out_loss_as_chosen", sides[AUTO]["held_out"] / stock["held_out"], 1.01)
    return figures


def compare_layouts(bench: Bench) -> None:
    """Ways to lay out the same batch; the first is what the stock recipe does."""
    found = bench.child("layouts")
    first = next(iter(found.values()))
    print(f"\n{'forward and backward of one batch':<58} {'CPU s':>6} {'×':>5}")
    for name, cpu_s in found.items():
        print(f"{name:<58} {cpu_s:>6.2f} {first / cpu_s:>5.2f}")


if __name__ == "__main__":
    sys.exit(main())
