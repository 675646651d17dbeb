"""make bench-voices   (ARGS="--quick" for a look at two people that proves nothing)

Ten people, ten adapters with default settings, one matrix: how well does each adapter foresee what each person wrote
later? And: to whom does a classifier that has only seen real messages give what the adapters write?

Each step's result lies under its hash in ``.doppel/bench/voices``, so the bench may be stopped and started again.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import voice_data
from bench.base_model import CACHE, ROOT, smollm2
from bench.real_history import DATA
from bench.report import Figures, finish, parser
from bench.voice_data import Voice
from bench.voice_judge import BUNDLE, DRAWS, bundles_right, cutter, print_matrix
from doppel.basemodel.prompt import PromptEncoder, render_system
from proto.artifacts import SPLITS
from proto.conversation import split_parts
from proto.scrape import SampleCounts
from proto.train import RecipeOverrides
from services.trainer.core.effort import ON_CPU
from services.trainer.core.plan import Plan, plan_run
from services.trainer.handlers.train import read_shape

WEIGHTS_CODE = (
    "plan",
    "schedule",
    "shape",
    "data",
    "model",
    "layers",
    "layout",
    "kernels",
    "loop",
    "evaluate",
)
EFFORT = ON_CPU.model_copy(update={"answers": voice_data.TEST, "limit_s": 600})


class Bench:
    """The models, the people, and what was found already."""

    def __init__(self, data: Path, cache: Path, people: int, threads: int, *, quick: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        self.cache = cache
        self.overrides = RecipeOverrides(max_steps=4) if quick else RecipeOverrides()
        self.held_out = 12 if quick else voice_data.TEST
        self.base = smollm2()
        self.encoder = PromptEncoder.from_folder(self.base)
        code = [
            *(ROOT / "services/scraper/core").glob("*.py"),
            ROOT / "bench/voice_data.py",
            data / "voices.json",
        ]
        self.voices = voice_data.prepare(data, cache / f"data-{_hash(*code)}", people, self.encoder)
        self.shape = read_shape(self.base)
        self.code = _hash(
            *(path for path in (ROOT / "services/trainer").glob("*/*.py") if path.stem in WEIGHTS_CODE)
        )

    def once(self, what: str, parts: Sequence[str], make: Callable[[], Any]) -> Any:
        """The stored result of a step, or make and store it."""
        key = hashlib.sha256("\n".join([self.code, what, *parts]).encode()).hexdigest()[:20]
        path = self.cache / f"{what}-{key}.json"
        if path.exists():
            return json.loads(path.read_text())
        began = time.monotonic()
        found = make()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(path)
        print(f"{what} {parts[0][:12]}: {time.monotonic() - began:.0f} s", flush=True)
        return found

    def key(self, voice: Voice) -> str:
        """What decides this person's weights, beside the code."""
        return _hash(*(voice.folder / f"{split}.jsonl.zst" for split in SPLITS))

    def plan(self, voice: Voice) -> Plan:
        """Default settings."""
        counts = SampleCounts(**{split: len(self.samples(voice, split)) for split in SPLITS})
        return plan_run(
            counts,
            self.shape,
            self.overrides,
            user_id=voice.user_id,
            device="cpu",
            max_lora_rank=32,
            min_samples=16,
        )

    def samples(self, voice: Voice, split: str) -> list[Any]:
        """One split."""
        from services.trainer.recipe.data import read_samples

        return list(read_samples(voice.folder, split))  # type: ignore[arg-type]

    def examples(self, voice: Voice, split: str, plan: Plan, *, system_of: Voice) -> list[Any]:
        """The same as ids, under the system turn that an adapter was trained with."""
        from services.trainer.recipe.data import load_examples

        system = render_system(system_of.name)
        return load_examples(self.encoder, voice.folder, split, system=system, max_seq_len=plan.max_seq_len)  # type: ignore[arg-type]

    def model(self, plan: Plan, *, half: bool = True) -> Any:
        """A fresh one; its base in bf16 where the processor multiplies that faster, as in training."""
        import torch

        from services.trainer.recipe.model import PersonaModel

        model = PersonaModel.of_plan(self.base, self.shape, plan, device="cpu")
        if half and torch.ops.mkldnn._is_mkldnn_bf16_supported():
            model.to_bf16()
        return model

    def adapter(self, voice: Voice) -> Path:
        """Train, unless it was."""
        from safetensors.torch import save_file

        from services.trainer.recipe.control import Unattended
        from services.trainer.recipe.loop import train

        plan = self.plan(voice)
        parts = [voice.user_id, self.key(voice), plan.model_dump_json()]
        name = hashlib.sha256("\n".join([self.code, *parts]).encode()).hexdigest()[:20]
        path = self.cache / f"adapter-{name}.safetensors"

        def make() -> dict[str, Any]:
            model = self.model(plan, half=False)  # training chooses by itself
            position = train(
                model,
                self.examples(voice, "train", plan, system_of=voice),
                self.examples(voice, "validation", plan, system_of=voice)[: plan.validation_samples],
                plan,
                work_folder=self.cache / f"work-{name}",
                resume_folder=None,
                report=lambda _: None,
                store=lambda _step, _folder: None,
                control=Unattended(),
            )
            save_file(model.lora_state(), path)
            return {"steps": position.step, "best_step": position.best_step, "train_s": position.train_s}

        self.once("train", parts, make)
        return path

    def loss(self, text: Voice, adapter: Voice | None, model: Any) -> float:
        """Nats per persona token of what `text` wrote later; the adapter is loaded already."""
        from services.trainer.recipe.control import Unattended
        from services.trainer.recipe.evaluate import held_out_loss

        plan = self.plan(text)
        examples = self.examples(text, "test", plan, system_of=adapter or text)[: self.held_out]
        return held_out_loss(model, examples, tokens=plan.micro_batch_tokens, control=Unattended())

    def row(self, voice: Voice) -> list[float]:
        """One adapter on everybody's held-out messages, under its own system turn."""
        path, plan = self.adapter(voice), self.plan(voice)

        def make() -> list[float]:
            model = self._with(path, plan)
            return [self.loss(text, voice, model) for text in self.voices]

        return self.once(
            "row", [voice.user_id, path.name, str(self.held_out), *map(self.key, self.voices)], make
        )

    def base_row(self) -> list[float]:
        """The plain base on everybody's."""

        def make() -> list[float]:
            model = self.model(self.plan(self.voices[0]))
            with model.as_base():
                return [self.loss(text, None, model) for text in self.voices]

        return self.once("base_row", [str(self.held_out), *map(self.key, self.voices)], make)

    def answers(self, voice: Voice, *, base: bool) -> list[str]:
        """What adapter or base say in the person's held-out conversations."""
        from services.trainer.recipe.control import Unattended
        from services.trainer.recipe.measure import Subject, write_answers

        path, plan = self.adapter(voice), self.plan(voice)

        def make() -> list[str]:
            model = self._with(path, plan)
            test = self.samples(voice, "test")[: self.held_out]
            subject = Subject(
                model, self.encoder, render_system(voice.name), plan.max_seq_len, 0, 1, (), (), test
            )

            def write() -> list[str]:
                until = time.monotonic() + EFFORT.limit_s
                found = write_answers(subject, EFFORT, EFFORT.answers, until=until, control=Unattended())
                return [answer.text for answer in found]

            if not base:
                return write()
            with model.as_base():
                return write()

        what = "base_answers" if base else "answers"
        return self.once(what, [voice.user_id, path.name, str(self.held_out), EFFORT.model_dump_json()], make)

    def _with(self, path: Path, plan: Plan) -> Any:
        from safetensors.torch import load_file

        model = self.model(plan)
        model.load_lora_state(load_file(path))
        return model


def main() -> int:
    """Train, measure, classify; the last line printed is one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--people", type=int, default=10)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--data", type=Path, default=DATA, help="the export and voices.json")
    arguments.add_argument("--cache", type=Path, default=CACHE / "voices")
    arguments.add_argument("--quick", action="store_true", help="two people, four steps, twelve samples")
    args = arguments.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        args.data.resolve(),
        args.cache.resolve(),
        2 if args.quick else args.people,
        args.threads,
        quick=args.quick,
    )
    figures = measure(bench)
    return finish(figures, "voice_matrix")


def measure(bench: Bench) -> Figures:
    """The matrix, then the bundles."""
    from services.trainer.recipe.authorship import classifier

    voices = bench.voices
    for voice in voices:
        bench.adapter(voice)
    base = bench.base_row()
    matrix = [bench.row(voice) for voice in voices]  # [adapter][person]
    print_matrix(voices, base, matrix)
    count = len(voices)
    below = sum(matrix[i][i] < base[i] for i in range(count)) / count
    lowest = sum(min(range(count), key=lambda a: matrix[a][i]) == i for i in range(count)) / count
    nearest = (
        sum(min(range(count), key=lambda person: matrix[a][person] / base[person]) == a for a in range(count))
        / count
    )
    cut = cutter(bench.encoder, EFFORT.new_tokens)
    train = [
        (cut(part), i)
        for i, voice in enumerate(voices)
        for sample in bench.samples(voice, "train")
        for part in split_parts(sample.response)
    ]
    model = classifier()
    model.fit([text for text, _ in train], [person for _, person in train])
    real = {i: [s.response for s in bench.samples(voice, "test")] for i, voice in enumerate(voices)}
    generated = {i: bench.answers(voice, base=False) for i, voice in enumerate(voices)}
    by_base = {i: bench.answers(voice, base=True) for i, voice in enumerate(voices)}
    shares = [bundles_right(texts, model, cut) for texts in (real, generated, by_base)]
    print(
        f"bundles of {BUNDLE} to the right person: real {shares[0]:.0%}, generated {shares[1]:.0%}, "
        f"base {shares[2]:.0%}; an adapter gains most on its own person in {nearest:.0%}"
    )
    figures = Figures()
    figures.least("own_below_base", below, 1.0)
    figures.least("own_lowest", lowest, 0.9)
    figures.least("bundles_right_to_base", shares[1] / max(shares[2], 1 / (DRAWS * count)), 2.0)
    return figures


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
