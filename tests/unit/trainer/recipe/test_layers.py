"""The fast way through the layers computes what torchtune's own forward does, and so do its gradients."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from services.trainer.core.memory import activation_bytes, must_recompute
from services.trainer.core.shape import ModelShape, parse_shape
from services.trainer.recipe.data import IGNORE, Example, micro_batches, shared_length
from services.trainer.recipe.kernels import HEAD_ROWS, ShortAttention, head_loss
from services.trainer.recipe.layout import Layout
from services.trainer.recipe.model import PersonaModel

SYSTEM = tuple(range(100, 120))
examples = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 9), st.booleans(), st.integers(0, 999)),
    min_size=1,
    max_size=6,
)


def example(said: int, answered: int, with_system: bool, salt: int) -> Example:
    words = tuple((salt * 31 + i * 7) % 5000 + 200 for i in range(said + answered))
    before = SYSTEM if with_system else ()
    return Example((*before, *words), len(before) + said)


@pytest.fixture(scope="module")
def model(base: Path, shape: ModelShape) -> PersonaModel:
    model = PersonaModel.load(base, shape, rank=4, alpha=8, max_seq_len=64, seed=3, device="cpu")
    torch.manual_seed(4)
    for name, parameter in model.lora_parameters().items():
        if ".lora_b." in name:  # as it starts, B is zero and would hide a mistake
            parameter.data.normal_(std=0.3)
    return model


def plainly(model: PersonaModel, tokens: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(
        model.logits(tokens).flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum"
    )


def gradients(model: PersonaModel, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.lora_parameters().values())))


@settings(max_examples=25, deadline=None)
@given(drawn=examples, tokens=st.integers(20, 400))
def test_loss_and_gradients_are_those_of_every_logit_of_padded_rows(
    model: PersonaModel, drawn: list[tuple[int, int, bool, int]], tokens: int
) -> None:
    batch = [example(*one) for one in drawn]
    fast = plain = torch.zeros(())
    for micro in micro_batches(batch, tokens=tokens):
        fast = fast + model.summed_loss(micro)
        plain = plain + plainly(model, micro.tokens, micro.targets)
    assert fast.item() == pytest.approx(plain.item(), rel=1e-5)
    for ours, theirs in zip(gradients(model, fast), gradients(model, plain), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * theirs.abs().max().item() + 1e-6)


def test_recomputed_activations_give_the_same_gradients(model: PersonaModel) -> None:
    micro = next(micro_batches([example(5, 6, True, 1), example(3, 4, True, 2)], tokens=400))
    kept = gradients(model, model.summed_loss(micro))
    model.layers.checkpointing = True
    try:
        again = gradients(model, model.summed_loss(micro))
    finally:
        model.layers.checkpointing = False
    assert all(torch.equal(one, other) for one, other in zip(kept, again, strict=True))


def test_without_its_adapter_it_is_the_base(model: PersonaModel) -> None:
    micro = next(micro_batches([example(5, 6, True, 1)], tokens=400))
    with model.as_base(), torch.inference_mode():
        assert model.summed_loss(micro).item() == pytest.approx(
            plainly(model, micro.tokens, micro.targets).item(), rel=1e-5
        )


def test_in_bf16_the_loss_stays_near(base: Path, shape: ModelShape) -> None:
    model = PersonaModel.load(base, shape, rank=4, alpha=8, max_seq_len=64, seed=3, device="cpu")
    micro = next(micro_batches([example(5, 6, True, 1), example(9, 8, True, 7)], tokens=400))
    before = model.summed_loss(micro).item()
    model.to_bf16()
    loss = model.summed_loss(micro)
    assert loss.item() == pytest.approx(before, rel=0.02)
    assert all(torch.isfinite(grad).all() and grad.dtype == torch.float32 for grad in gradients(model, loss))


@given(drawn=examples)
def test_what_samples_share_ends_before_the_first_word_that_foretells_the_personas(
    drawn: list[tuple[int, int, bool, int]],
) -> None:
    batch = [example(*one) for one in drawn]
    shared = shared_length(batch)
    assert all(one.ids[:shared] == batch[0].ids[:shared] for one in batch)
    assert all(shared < one.prompt_length for one in batch)
    if len(batch) > 1 and all(with_system for _, _, with_system, _ in drawn):
        assert shared >= len(SYSTEM)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), data=st.data())
def test_every_token_has_its_slot_and_finds_it_again(lengths: list[int], data: st.DataObject) -> None:
    shared = data.draw(st.integers(0, min(lengths) - 1)) if len(lengths) > 1 else 0
    layout = Layout.of(lengths, shared, torch.device("cpu"))
    count = sum(lengths) - shared * (len(lengths) - 1)
    tokens = torch.arange(count, dtype=torch.float64).view(count, 1, 1).requires_grad_()
    padded = layout.pad(tokens)  # [rows, 1, width, 1]
    assert torch.equal(layout.unpad(padded).flatten(), tokens.flatten())
    for row, length in enumerate(lengths):
        assert torch.equal(padded[row, 0, :shared], padded[0, 0, :shared])
        assert layout.positions[layout.take.view(len(lengths), -1)[row, :length]].tolist() == [*range(length)]


def test_the_gradient_of_a_shared_token_is_the_sum_over_its_rows() -> None:
    layout = Layout.of([3, 2], 1, torch.device("cpu"))
    tokens = torch.zeros(4, 1, 1, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 99.0]], dtype=torch.float64)
    (layout.pad(tokens)[:, 0, :, 0] * weights).sum().backward()
    assert tokens.grad is not None
    assert tokens.grad.flatten().tolist() == [11, 2, 3, 20]  # 99 stood on padding


def test_attention_by_plain_products_is_attention() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, 9, 8, dtype=torch.float64, requires_grad=True) for heads in (6, 2, 2))
    ours = ShortAttention.apply(q, k, v)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    assert torch.allclose(ours, theirs, atol=1e-6)
    weights = torch.randn_like(theirs)
    for one, other in zip(
        torch.autograd.grad((ours * weights).sum(), (q, k, v)),
        torch.autograd.grad((theirs * weights).sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_heads_loss_in_chunks_is_the_whole_one() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(2 * HEAD_ROWS + 3, 8, requires_grad=True)
    head, targets = torch.randn(50, 8), torch.randint(0, 50, (2 * HEAD_ROWS + 3,))
    theirs = F.cross_entropy(hidden @ head.T, targets, reduction="sum")
    ours = head_loss(hidden, head, targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    (expected,) = torch.autograd.grad(theirs / 7, hidden)
    (found,) = torch.autograd.grad(ours / 7, hidden)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_large_model_on_a_small_card_computes_its_activations_again() -> None:
    llama = parse_shape(
        {
            "model_type": "llama",
            "vocab_size": 128256,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "intermediate_size": 14336,
            "max_position_embeddings": 131072,
        }
    )
    assert 4e6 < activation_bytes(llama, 1, 2) < 7e6
    assert must_recompute(llama, 2048, 2, free_bytes=6 * 1024**3)
    assert not must_recompute(llama, 2048, 2, free_bytes=60 * 1024**3)
