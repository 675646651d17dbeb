"""The tiny model and a persona that says nearly the same each time."""

import json
import random
import warnings
from pathlib import Path

import pytest
import zstandard

from doppel.basemodel.prompt import PromptEncoder
from doppel.basemodel.tiny import write_tiny
from proto.conversation import Sample, Turn
from services.trainer.core.plan import Plan
from services.trainer.core.shape import ModelShape, parse_shape

with warnings.catch_warnings():  # torchtune and torchao warn about themselves while they are imported
    warnings.simplefilter("ignore")
    import torch

    from services.trainer.recipe.model import PersonaModel
    from tests.unit.trainer.recipe.training import Bench

WORDS = ("deploy", "build", "tests", "cache", "release", "docs", "invoice", "lunch", "search", "backup")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(base: Path) -> PromptEncoder:
    return PromptEncoder.from_folder(base)


@pytest.fixture(scope="session")
def shape(base: Path) -> ModelShape:
    return parse_shape(json.loads((base / "config.json").read_bytes()))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three splits on disk."""
    folder, rng = tmp_path_factory.mktemp("dataset"), random.Random(1)
    for split, count in {"train": 40, "validation": 8, "test": 8}.items():
        lines = "".join(_sample(rng, i).model_dump_json() + "\n" for i in range(count))
        (folder / f"{split}.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    return folder


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan(
        lora_rank=8,
        lora_alpha=16,
        learning_rate=1e-2,
        epochs=2,
        step_count=8,
        warmup_steps=1,
        batch_size=8,
        micro_batch_tokens=256,
        max_seq_len=128,
        validation_steps=2,
        patience=3,
        validation_samples=8,
        test_samples=8,
        precision="fp32",
    )


def _sample(rng: random.Random, number: int) -> Sample:
    turns = tuple(
        Turn(role="user", content=f"Bob: what about the {rng.choice(WORDS)}, {rng.choice(WORDS)}?")
        for _ in range(rng.randint(1, 3))
    )
    said = " ".join(f"Arr, the {rng.choice(WORDS)} again!" for _ in range(rng.randint(1, 3)))
    return Sample(turns=turns, response=said, channel_id="C1", ts=f"1700000{number:03d}.000100")


@pytest.fixture
def bench(
    base: Path, dataset: Path, shape: ModelShape, encoder: PromptEncoder, plan: Plan, tmp_path: Path
) -> Bench:
    return Bench(base, dataset, shape, encoder, plan, tmp_path)


@pytest.fixture(scope="session")
def undisturbed(
    base: Path,
    dataset: Path,
    shape: ModelShape,
    encoder: PromptEncoder,
    plan: Plan,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Bench, PersonaModel]:
    """A training that nobody interrupted."""
    bench = Bench(base, dataset, shape, encoder, plan, tmp_path_factory.mktemp("undisturbed"))
    model = bench.model()
    bench.train(model)
    return bench, model
