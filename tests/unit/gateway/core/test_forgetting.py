"""When a purge is over, and how long it waits between its rounds."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.forgetting import (
    FORGET,
    ROUNDS,
    SERVICES,
    Purge,
    is_over,
    pause_s,
    render_begun,
    render_confirm,
)


def purge(round_number: int, **answers: Any) -> Purge:
    return Purge(uuid4(), "T0", "U0ADA", datetime.now(UTC), round_number, answers)


def answer(round_number: int, left: int = 0) -> dict[str, int]:
    return {"round": round_number, "left": left}


def test_it_is_over_once_every_service_answered_the_last_round_with_nothing_left() -> None:
    assert is_over(purge(3, scraper=answer(3), trainer=answer(3)))
    assert not is_over(purge(3, scraper=answer(3)))
    assert not is_over(purge(3, scraper=answer(3), trainer=answer(2)))
    assert not is_over(purge(3, scraper=answer(3, left=1), trainer=answer(3)))
    assert is_over(purge(4, scraper=answer(4), trainer=answer(3)))


@given(st.integers(0, ROUNDS - 1), st.integers(0, 9))
def test_it_is_never_over_before_the_last_round_went_out(round_number: int, told: int) -> None:
    assert not is_over(purge(round_number, **{service: answer(told) for service in SERVICES}))


@given(st.integers(1, 1000))
def test_pauses_grow_and_end_within_hours(round_number: int) -> None:
    assert 0 < pause_s(round_number) <= pause_s(round_number + 1) <= 6 * 3600


def test_the_last_question_names_who_is_meant_and_what_stays() -> None:
    own, other = render_confirm("U0ADA", is_own=True), render_confirm("U0ADA", is_own=False)
    assert "U0ADA" not in own["text"]
    assert "<@U0ADA>" in other["text"]
    for post in (own, other):
        assert "can't be undone" in post["text"]
        assert "stays there" in str(post["blocks"])
        buttons = post["blocks"][1]["elements"]
        assert next((each["action_id"], each["value"]) for each in buttons) == (FORGET, "U0ADA")
    assert "You are being forgotten" in render_begun("U0ADA", is_own=True)["text"]
