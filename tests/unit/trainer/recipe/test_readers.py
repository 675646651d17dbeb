"""What the recipe reads and writes, other people's code reads the same: transformers the base, PEFT the adapter."""

import json
import math
from pathlib import Path

import pytest
import torch

from doppel.basemodel.gguf import convert
from doppel.basemodel.prompt import PromptEncoder, render_system
from doppel.basemodel.source import wheel_gguf
from proto.conversation import Turn
from services.trainer.core.shape import parse_shape
from services.trainer.recipe.data import Example, micro_batches
from services.trainer.recipe.model import PersonaModel
from tests.support.oracles import read_by_peft, read_by_transformers

CLOSE = 2e-3  # logits reach 30; every one of 49,152 at every position


@pytest.fixture(scope="module", params=["tiny", "smollm2"])
def folder(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "tiny":
        return base
    made = tmp_path_factory.mktemp("base") / "smollm2"
    convert(wheel_gguf(), made)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> PersonaModel:
    """With an adapter that moves every projection."""
    shape = parse_shape(json.loads((folder / "config.json").read_bytes()))
    model = PersonaModel.load(folder, shape, rank=8, alpha=16, max_seq_len=128, seed=1, device="cpu")
    torch.manual_seed(2)
    for name, parameter in model.lora_parameters().items():
        if ".lora_b." in name:
            parameter.data.normal_(std=0.02)
    return model


@pytest.fixture(scope="module")
def ids(folder: Path) -> torch.Tensor:
    turns = (
        Turn(role="system", content=render_system("Ada")),
        Turn(role="user", content="Bob: is the deploy done? 🙂 مرحبا"),
    )
    return torch.tensor([PromptEncoder.from_folder(folder).encode(turns)])


def test_the_loaded_base_gives_the_logits_of_transformers(
    folder: Path, model: PersonaModel, ids: torch.Tensor
) -> None:
    with torch.no_grad(), model.as_base():
        ours, expected = model.logits(ids), read_by_transformers(folder)(ids).logits
    assert (ours - expected).abs().max() < CLOSE
    assert torch.equal(ours.argmax(-1), expected.argmax(-1))


def test_the_adapter_read_by_peft_gives_the_trainers_logits_and_loss(
    folder: Path, model: PersonaModel, ids: torch.Tensor, tmp_path: Path
) -> None:
    model.export(tmp_path, base_model="base")
    read = read_by_peft(folder, tmp_path)
    example = Example(tuple(ids[0].tolist()), ids.shape[1] - 6)
    with torch.no_grad():
        expected = read(ids).logits
        difference = (model.logits(ids) - expected).abs().max()
        with model.as_base():
            moved = (model.logits(ids) - expected).abs().max()
        loss = model.summed_loss(next(micro_batches([example], tokens=512)))
    assert difference < CLOSE
    assert moved > 50 * CLOSE  # and it is no zero adapter
    words = torch.tensor(example.ids[-6:])
    by_peft = torch.nn.functional.cross_entropy(expected[0, -7:-1], words, reduction="sum")
    assert math.isclose(loss.item(), by_peft.item(), rel_tol=1e-4)
