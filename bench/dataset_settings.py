"""python -m bench.dataset_settings   (--people U0NP5BZ7KTC,U0SZ57JD2T9 --only default,original)

Which settings of a dataset train best: the same recipe, base model and steps on datasets that are cut differently from
the same real history; the held-out loss is measured on one fixed set per person, of days that no dataset has seen.

A training takes two to four minutes of one core; the base model is prepared once (half a gigabyte on disk).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import zstandard

from bench.base_model import ROOT, smollm2
from bench.conversations import GapAlone
from bench.real_history import DATA, History, read_history
from bench.report import Figures, finish, parser
from doppel.basemodel.prompt import PromptEncoder, render_system
from doppel.basemodel.source import SMOLLM2
from proto.artifacts import SPLITS, ShardEntry, split_file
from proto.conversation import Person
from proto.dataset import DatasetOptions
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides
from services.scraper.adapters.datasets import Cut, Order, cut_dataset
from services.scraper.adapters.reading import read_said
from services.scraper.adapters.shards import write_lines
from services.scraper.adapters.tokens import BaseTokens
from services.scraper.adapters.work import Work
from services.scraper.core.replies import Channel, Directory
from services.scraper.core.said import Said
from services.scraper.core.segment import Placer
from services.scraper.handlers.cutting import Rules
from services.scraper.settings import Settings
from services.trainer.core.job import Job
from services.trainer.core.plan import plan_run
from services.trainer.handlers.train import read_shape

PEOPLE: Final = "U0NP5BZ7KTC,U0SZ57JD2T9"  # the two who wrote the most
HELD_OUT: Final = 48  # samples
SILENCE_S: Final = 3600.0


@dataclass(frozen=True)
class Variant:
    """One way of cutting."""

    wishes: dict[str, int]
    placer: Callable[[Directory], Placer] = Channel


def _gap_alone(_: Directory) -> Placer:
    return GapAlone()


VARIANTS: Final = {
    "default": Variant({}),
    "original": Variant({"days": 365, "max_samples": 500, "channel_samples": 200, "min_characters": 100}),
    "one year": Variant({"days": 365}),
    "at least 1": Variant({"min_characters": 1}),
    "at least 40": Variant({"min_characters": 40}),
    "time gap alone": Variant({}, _gap_alone),
}


@dataclass(frozen=True)
class Bench:
    """What all trainings share."""

    history: History
    base: Path
    encoder: PromptEncoder
    folder: Path
    steps: int | None

    def part(self, name: str, keep: Callable[[Said], bool]) -> History:
        """The history of some days only."""
        entries: list[ShardEntry] = []
        for number, shard in enumerate(self.history.manifest.shards):
            path = self.folder / f"{name}-{number}.jsonl.zst"
            kept = [said for said in read_said([self.history.shards[number]], Work()) if keep(said)]
            entry = write_lines(path, path.name, map(msgspec.json.encode, kept))
            entries.append(
                ShardEntry(
                    **entry.model_dump(),
                    channel_id=shard.channel_id,
                    message_count=len(kept),
                    latest_ts=max((said.ts for said in kept), key=float, default=None),
                )
            )
        manifest = self.history.manifest.model_copy(update={"shards": tuple(entries)})
        return History(manifest, tuple(self.folder / entry.name for entry in entries), self.history.people)

    def cut(self, history: History, person: Person, variant: Variant, name: str) -> Cut:
        """One dataset."""
        folder = self.folder / f"{person.user_id}-{name.replace(' ', '-')}"
        folder.mkdir()
        product = Settings()
        rules = Rules(product.dataset_options, 1, product.phone_region_codes)
        tokens = BaseTokens(SMOLLM2, "0" * 64, self.encoder)
        order = Order(person, rules.settings(DatasetOptions(**variant.wishes), tokens), rules.min_samples)
        return cut_dataset(
            history.shards,
            history.manifest,
            history.people,
            order,
            self.encoder,
            folder,
            Work(),
            placer=variant.placer,
        )

    def train(self, person: Person, cut: Cut, held_out: bytes) -> dict[str, float]:
        """The house's recipe on one dataset, measured on the held-out set."""
        (cut.folder / split_file("test")).write_bytes(held_out)
        shape = read_shape(self.base)
        counts = SampleCounts(train=cut.samples.train, validation=cut.samples.validation, test=HELD_OUT)
        plan = plan_run(
            counts,
            shape,
            RecipeOverrides(max_steps=self.steps),
            user_id=person.user_id,
            device="cpu",
            max_lora_rank=32,
            min_samples=1,
        ).model_copy(update={"test_samples": HELD_OUT})
        work = cut.folder / "work"
        work.mkdir()
        job = Job(
            run_id=UUID(int=0),
            base_model=SMOLLM2,
            base_folder=str(self.base),
            dataset_folder=str(cut.folder),
            work_folder=str(work),
            system=render_system(person.name),
            shape=shape,
            plan=plan,
            silence_s=SILENCE_S,
        )
        (work / "job.json").write_text(job.model_dump_json())
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "services.trainer.recipe", str(work / "job.json"), str(os.getpid())],
            cwd=ROOT,
            env=dict(os.environ, OMP_NUM_THREADS="1"),  # noqa: TID251  a child of the bench
            stdin=subprocess.PIPE,  # its end would be the parent's end
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            end: dict[str, Any] = {}
            for line in child.stdout:
                end = json.loads(line)
                child.stdin.write(b".")
                child.stdin.flush()
        if end["event"] != "finished":
            raise SystemExit(f"the training ended with {end}")
        shutil.rmtree(work)
        return {"base": end["base_test_loss"], "loss": end["test_loss"], "s": time.monotonic() - began}


def held_out_set(cut: Cut) -> bytes:
    """So many samples of all its splits, evenly spread over its time."""
    lines = [
        line
        for split in SPLITS
        for line in zstandard.ZstdDecompressor()
        .stream_reader((cut.folder / split_file(split)).read_bytes())
        .read()
        .splitlines()
    ]
    chosen = [lines[i * len(lines) // HELD_OUT] for i in range(HELD_OUT)] if len(lines) > HELD_OUT else lines
    return zstandard.ZstdCompressor().compress(b"\n".join([*chosen, b""]))


def main() -> int:
    """Train each variant for each person; the last line is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the folder of the export")
    arguments.add_argument("--people", default=PEOPLE, help="user ids of voices.json, comma-separated")
    arguments.add_argument("--only", default=",".join(VARIANTS), help="variants, comma-separated")
    arguments.add_argument("--steps", type=int, help="optimizer steps; absent: as many as the recipe takes")
    args = arguments.parse_args()
    voices = {each["user_id"]: each for each in json.loads((args.data / "voices.json").read_text())["voices"]}
    names: list[str] = args.only.split(",")
    losses: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base, corpus = smollm2(), folder / "corpus"
        corpus.mkdir()
        bench = Bench(
            read_history(args.data, corpus), base, PromptEncoder.from_folder(base), folder, args.steps
        )
        print(f"{'person':14}{'variant':16}{'train':>7}{'tokens':>9}{'base':>8}{'loss':>8}{'s':>6}")
        for user_id in args.people.split(","):
            person = next(each for each in bench.history.people if each.user_id == user_id)
            day = datetime.fromisoformat(voices[user_id]["train_through"]).replace(tzinfo=UTC)
            border = (day + timedelta(days=1)).timestamp()
            before = bench.part(f"{user_id}-before", lambda said, at=border: said.at < at)
            after = bench.part(f"{user_id}-after", lambda said, at=border: said.at >= at)
            held_out = held_out_set(bench.cut(after, person, Variant({"min_characters": 8}), "held out"))
            for name in names:
                cut = bench.cut(before, person, VARIANTS[name], name)
                found = bench.train(person, cut, held_out)
                losses[name].append(found["loss"])
                tokens = cut.card.splits["train"].response_tokens
                print(
                    f"{user_id:14}{name:16}{cut.samples.train:7,}{tokens:9,}"
                    f"{found['base']:8.3f}{found['loss']:8.3f}{found['s']:6.0f}",
                    flush=True,
                )
    figures = Figures()
    mean = {name: sum(each) / len(each) for name, each in losses.items()}
    for name in names:
        if name != "default" and "default" in mean:  # above 1: the default foresees the person's words better
            figures.least(f"{name.replace(' ', '_')}_over_default", mean[name] / mean["default"], 0.99)
    return finish(figures, "dataset_settings")


if __name__ == "__main__":
    sys.exit(main())
