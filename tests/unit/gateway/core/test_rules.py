"""What a workspace allows itself: admins lower what the operator has set, and never raise it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.rules import (
    Change,
    Own,
    Rules,
    Usage,
    changed,
    parse_change,
    render_rules,
    rules_of,
)

NUMBERS = st.none() | st.integers(1, 2000)
DEPLOYED = Rules(personas=50, runs_a_day=20, replies_a_minute=600)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_number_of_the_operator_is_never_raised(
    personas: int | None, runs: int | None, replies: int | None
) -> None:
    rules = rules_of(DEPLOYED, Own(personas=personas, runs_a_day=runs, replies_a_minute=replies))
    for own, mine, deployed in (
        (personas, rules.personas, 50), (runs, rules.runs_a_day, 20), (replies, rules.replies_a_minute, 600)
    ):  # fmt: skip
        assert mine == (deployed if own is None else min(own, deployed))


@pytest.mark.parametrize(
    ("typed", "change"),
    [
        ("runs 5", Change("runs_a_day", 5)),
        ("Train Admins", Change("who_may_train", "admins")),
        ("guests on", Change("guests_may_ask", value=True)),
        ("guests off", Change("guests_may_ask", value=False)),
        ("personas default", Change("personas", None)),
    ],
)
def test_a_change_is_read_and_counts(typed: str, change: Change) -> None:
    assert parse_change(typed) == change
    assert getattr(changed(Own(), change), change.field) == change.value


@given(st.text(max_size=60))
def test_any_text_is_a_change_that_holds_or_none(typed: str) -> None:
    change = parse_change(typed)
    if change is not None:
        rules_of(DEPLOYED, changed(Own(), change))


def test_an_admins_no_to_guests_counts_too() -> None:
    deployed = Rules(guests_may_ask=True)
    assert rules_of(deployed, Own()).guests_may_ask
    assert not rules_of(deployed, Own(guests_may_ask=False)).guests_may_ask


def test_what_is_used_is_told_beside_what_may_be() -> None:
    told = render_rules(DEPLOYED, Usage(personas=3, runs=1))
    assert "Personas: 3 of 50. Trainings in 24 hours: 1 of 20." in told
    assert "every member" in told
