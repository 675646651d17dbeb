"""Each row gets what its own adapter adds, whoever else is in the batch."""

from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st

from services.inference.cpu_lora import FEW, Together, add_lora_linear, plan_products

SLOTS, RANK, IN = 5, 4, 6
SIZES = (3, 2)
batches = st.lists(st.integers(-1, SLOTS - 1), max_size=4 * FEW)


def weights() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    a = [torch.randn(SLOTS, 1, RANK, IN, generator=generator) for _ in SIZES]
    b = [torch.randn(SLOTS, 1, size, RANK, generator=generator) for size in SIZES]
    return a, b


@given(slots=batches, scale=st.sampled_from([1.0, 0.5]))
def test_a_row_is_changed_by_its_own_adapter_only(slots: list[int], scale: float) -> None:
    a, b = weights()
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(len(slots), IN, generator=generator), torch.randn(len(slots), 5, generator=generator)
    expected = y.clone()
    for row, slot in enumerate(slots):
        if slot >= 0:
            parts = [scale * (b[part][slot, 0] @ (a[part][slot, 0] @ x[row])) for part in range(len(SIZES))]
            expected[row] += torch.cat(parts)
    add_lora_linear(SimpleNamespace(plan=plan_products(slots)), y, x, a, b, scale, SIZES)
    torch.testing.assert_close(y, expected)


@given(slots=batches)
def test_no_row_has_two_places_and_the_padded_batch_stays_small(slots: list[int]) -> None:
    together = plan_products(slots).together
    if together is not None:
        places = together.places.tolist()
        assert len(set(places)) == len(places) == len(together.rows)
        assert together.room <= FEW
        assert max(places) < together.slots * together.room


def test_a_long_prompt_beside_short_steps_has_a_product_of_its_own() -> None:
    plan = plan_products([0] * 100 + [1, 2, 3])
    assert plan.alone == [(0, slice(0, 100))]
    assert isinstance(plan.together, Together)
    assert plan.together.room == 1
