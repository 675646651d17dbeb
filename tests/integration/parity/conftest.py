"""An adapter of each base model, trained a few steps by the recipe and exported as a run exports it."""

import json
import random
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from doppel.basemodel.prepare import resolve
from doppel.basemodel.prompt import PromptEncoder
from doppel.basemodel.source import SMOLLM2, TINY
from proto.conversation import Sample, Turn
from services.trainer.core.plan import Plan
from services.trainer.core.shape import parse_shape

with warnings.catch_warnings():  # torchtune and torchao warn about themselves while they are imported
    warnings.simplefilter("ignore")
    import torch

    from services.trainer.recipe.model import PersonaModel
    from tests.unit.trainer.recipe.training import Bench

THINGS = ("deploy", "build", "cache", "release", "invoice", "lunch", "search", "backup")
BEGUN = 3  # tokens of an answer: "Arr, the"
SPLITS = {"train": 16, "validation": 2, "test": 2}
PLAN = Plan(
    lora_rank=8,
    lora_alpha=16,
    learning_rate=5e-3,
    epochs=1,
    step_count=4,
    warmup_steps=0,
    batch_size=4,
    micro_batch_tokens=256,
    max_seq_len=128,
    validation_steps=4,
    patience=3,
    validation_samples=2,
    test_samples=2,
    precision="fp32",
    compile="off",
    recompute="off",
)


@dataclass(frozen=True)
class Trained:
    """The trainer's model in memory, the adapter's folder, and conversations that it never saw, answers begun."""

    base: Path
    model: PersonaModel
    adapter: Path
    encoder: PromptEncoder
    conversations: list[list[int]]

    def log_probabilities(self, ids: list[int], *, as_base: bool = False) -> torch.Tensor:
        """The trainer's, of what follows each position: [seq, vocabulary]."""
        return self.logits(ids, as_base=as_base).log_softmax(-1)

    def logits(self, ids: list[int], *, as_base: bool = False) -> torch.Tensor:
        """The trainer's: [seq, vocabulary]."""
        with torch.inference_mode():
            if not as_base:
                return self.model.logits(torch.tensor([ids]))[0]
            with self.model.as_base():
                return self.model.logits(torch.tensor([ids]))[0]


@pytest.fixture(scope="session", params=[TINY, SMOLLM2])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    torch.set_num_threads(1)
    work = tmp_path_factory.mktemp("parity")
    base = resolve(request.param, work)
    encoder = PromptEncoder.from_folder(base)
    shape = parse_shape(json.loads((base / "config.json").read_bytes()))
    bench = Bench(base, write_dataset(work / "dataset"), shape, encoder, PLAN, work)
    model = bench.model()
    bench.train(model)
    model.export(work / "adapter", base_model=base.name)
    conversations = [list(example.ids[: example.prompt_length + BEGUN]) for example in bench.examples("test")]
    return Trained(base, model, work / "adapter", encoder, conversations)


def write_dataset(folder: Path) -> Path:
    """Three splits of somebody who answers everything in the same way."""
    folder.mkdir()
    rng = random.Random(7)
    for split, count in SPLITS.items():
        samples = (_sample(rng, number) for number in range(count))
        lines = "".join(sample.model_dump_json() + "\n" for sample in samples)
        (folder / f"{split}.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    return folder


def _sample(rng: random.Random, number: int) -> Sample:
    turns = (Turn(role="user", content=f"Bob: how is the {rng.choice(THINGS)}? 🙂 مرحبا"),)
    said = f"Arr, the {rng.choice(THINGS)} again!"
    return Sample(turns=turns, response=said, channel_id="C1", ts=f"1700000{number:03d}.000100")
