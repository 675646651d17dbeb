"""A merged model answers with the very logits of base and adapter, in whatever loads an ordinary folder."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from doppel.basemodel.merge import merge
from proto.errors import AdapterCorrupt
from services.trainer.core.shape import ModelShape
from services.trainer.recipe.model import PersonaModel

IDS = torch.tensor([[1, 400, 77, 3000, 2, 198, 1, 520]])


def trained(base: Path, shape: ModelShape) -> PersonaModel:
    """An adapter that matters."""
    model = PersonaModel.load(base, shape, rank=8, alpha=24, max_seq_len=64, seed=1, device="cpu")
    torch.manual_seed(5)
    for parameter in model.lora_parameters().values():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def logits_of(folder: Path) -> torch.Tensor:
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return loaded(IDS).logits


def test_a_merged_model_gives_the_logits_of_base_and_adapter(
    base: Path, shape: ModelShape, tmp_path: Path
) -> None:
    model = trained(base, shape)
    model.export(tmp_path / "adapter", base_model="tiny")

    merge(base, tmp_path / "adapter", tmp_path / "merged")

    with torch.inference_mode():
        expected = model.logits(IDS)
    assert torch.allclose(logits_of(tmp_path / "merged"), expected, atol=1e-4)
    assert not torch.allclose(logits_of(base), expected, atol=1e-2)
    assert {path.name for path in (tmp_path / "merged").iterdir()} == {
        path.name for path in base.iterdir() if path.suffix in (".json", ".safetensors", ".jinja")
    }


def test_a_half_precision_base_in_two_files_is_merged_in_its_own_precision(
    base: Path, shape: ModelShape, tmp_path: Path
) -> None:
    model = trained(base, shape)
    model.export(tmp_path / "adapter", base_model="tiny")
    half = tmp_path / "half"
    half.mkdir()
    for path in base.glob("*.json"):
        (half / path.name).write_bytes(path.read_bytes())
    weights = {name: tensor.bfloat16() for name, tensor in load_file(base / "model.safetensors").items()}
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, chosen in parts.items():
        save_file({name: weights[name] for name in chosen}, half / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, chosen in parts.items() for name in chosen}}
    (half / "model.safetensors.index.json").write_text(json.dumps(index))

    merge(half, tmp_path / "adapter", tmp_path / "merged")

    merge(base, tmp_path / "adapter", tmp_path / "exact")
    exact = load_file(tmp_path / "exact" / "model.safetensors")
    for file in parts:
        for name, tensor in load_file(tmp_path / "merged" / file).items():
            assert tensor.dtype == torch.bfloat16
            assert torch.allclose(tensor.float(), exact[name], rtol=2**-7, atol=2**-7)


def test_an_adapter_of_another_model_is_refused_and_leaves_nothing(
    base: Path, shape: ModelShape, tmp_path: Path
) -> None:
    model = trained(base, shape)
    model.export(tmp_path / "adapter", base_model="tiny")
    weights = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    save_file(
        {name.replace("layers.1.", "layers.9."): tensor for name, tensor in weights.items()},
        tmp_path / "adapter" / "adapter_model.safetensors",
    )
    with pytest.raises(AdapterCorrupt):
        merge(base, tmp_path / "adapter", tmp_path / "merged")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}
