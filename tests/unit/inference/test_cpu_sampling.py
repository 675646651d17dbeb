"""Tokens are drawn as top-p says, without sorting."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from services.inference.cpu_sampling import draw, draw_one, penalties_or, weaken

DRAWS = 4000
probabilities = st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any).map(
    lambda shares: [share / sum(shares) for share in shares]
)  # fmt: skip


def nucleus(shares: list[float], top_p: float) -> set[int]:
    """Tokens before which less than `top_p` lies; those as likely as the last one belong to it."""
    return {
        token
        for token, share in enumerate(shares)
        if share and sum(s for s in shares if s > share) < top_p - 1e-6
    }


@given(shares=probabilities, top_p=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_what_is_drawn_is_in_the_nucleus(shares: list[float], top_p: float, seed: int) -> None:
    token = draw_one(torch.tensor(shares), top_p, torch.Generator().manual_seed(seed))
    assert token in nucleus(shares, top_p + 1e-5)


@pytest.mark.parametrize("top_p", [0.3, 0.75, 0.95, 1.0])
def test_tokens_come_as_often_as_the_renormalised_nucleus_says(top_p: float) -> None:
    shares = [0.02, 0.4, 0.0, 0.25, 0.2, 0.1, 0.03]
    kept = nucleus(shares, top_p)
    mass = sum(shares[token] for token in kept)
    generator = torch.Generator().manual_seed(7)
    counts = Counter(draw_one(torch.tensor(shares), top_p, generator) for _ in range(DRAWS))
    assert set(counts) == kept
    for token in kept:
        share = shares[token] / mass
        assert counts[token] / DRAWS == pytest.approx(share, abs=5 * math.sqrt(share / DRAWS))


def test_a_row_draws_the_same_whoever_else_is_in_the_batch() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(3))
    shares = torch.tensor([0.9, 0.9, 0.9])

    def generators() -> dict[int, torch.Generator]:
        return {row: torch.Generator().manual_seed(row) for row in range(3)}

    together = draw(logits, generators(), shares).tolist()
    alone = [draw(logits[row : row + 1], {0: generators()[row]}, shares[:1]).item() for row in range(3)]
    assert together == alone


def test_where_the_model_gives_no_numbers_something_is_drawn_all_the_same() -> None:
    assert 0 <= int(draw(torch.full((1, 9), math.nan), {}, torch.tensor([0.9]))) < 9


def test_what_was_written_becomes_less_likely_once_however_often_it_occurs() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0])
    weaken(logits, torch.tensor([0, 0, 1, 3, -1]), 2.0)
    assert logits.tolist() == [1.0, -4.0, 1.0]


def test_penalties_we_never_ask_for_are_left_to_the_engine() -> None:
    left: list[tuple[object, ...]] = []
    apply = penalties_or(lambda *arguments: left.append(arguments) or arguments[0])
    logits, prompts = torch.ones(2, 4), torch.tensor([[1, 4], [2, 3]])
    none, two = torch.zeros(2), torch.tensor([1.0, 2.0])
    assert apply(logits, prompts, none, none, two, [[0], [0]]).tolist() == [[1, 1, 1, 1], [0.5, 1, 0.5, 0.5]]
    assert not left
    apply(logits, prompts, torch.tensor([0.0, 1.0]), none, two, [[0], [0]])
    assert len(left) == 1
