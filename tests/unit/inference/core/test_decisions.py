"""Deadlines, the plan of a request, and updates that are not too many."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Turn
from proto.errors import DeadlinePassed
from proto.generate import GenerateRequest, Sampling
from services.inference.adapters.engine import choose_dtype
from services.inference.core.coalesce import Coalescer
from services.inference.core.deadline import time_left
from services.inference.core.plan import (
    LOOPS_ON_CPU,
    has_own_system,
    most_loops,
    plan_drawing,
    plan_loops,
    plan_room,
    plan_turns,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HI = Turn(role="user", content="hi")


def request(**fields: object) -> GenerateRequest:
    return GenerateRequest.model_validate({"team_id": "T1", "turns": [HI]} | fields)


def test_what_is_late_is_not_begun() -> None:
    with pytest.raises(DeadlinePassed):
        time_left(request(deadline_at=NOW), default=timedelta(minutes=5), now=NOW)


def test_a_deadline_is_the_time_there_is_and_none_is_the_default() -> None:
    late = request(deadline_at=NOW + timedelta(seconds=9))
    assert time_left(late, default=timedelta(minutes=5), now=NOW) == timedelta(seconds=9)
    assert time_left(request(), default=timedelta(minutes=5), now=NOW) == timedelta(minutes=5)


@given(max_tokens=st.integers(1, 4096), context=st.integers(64, 10_000))
def test_prompt_and_reply_share_the_window_and_neither_is_nothing(max_tokens: int, context: int) -> None:
    room = plan_room(Sampling(max_tokens=max_tokens), context)
    assert room.prompt_tokens + room.reply_tokens == context
    assert room.prompt_tokens >= context // 2
    assert 1 <= room.reply_tokens <= max_tokens


@pytest.mark.parametrize(
    ("cache_tokens", "context", "loops"),
    [(23_000, 2048, 44), (10**7, 512, LOOPS_ON_CPU), (2048, 2048, 4), (0, 2048, 4)],
)
def test_a_replica_takes_what_its_cache_holds(cache_tokens: int, context: int, loops: int) -> None:
    assert plan_loops(cache_tokens, context, most_loops(on_gpu=False)) == loops


def test_a_redelivery_draws_with_the_same_seed_unless_the_asker_names_one() -> None:
    room = plan_room(Sampling(), 512)
    first, again = (plan_drawing(Sampling(), room, (2, 0), UUID(int=2**127 + 5)) for _ in range(2))
    assert first == again
    assert 0 <= first.seed < 2**63
    assert plan_drawing(Sampling(seed=7), room, (2,), UUID(int=1)).seed == 7


def test_an_empty_stop_text_stops_nothing() -> None:
    assert plan_drawing(Sampling(stop=("", "x")), plan_room(Sampling(), 512), (), UUID(int=1)).stop == ("x",)


def test_the_adapters_system_turn_comes_first() -> None:
    assert plan_turns([HI], "Be Ada.") == (Turn(role="system", content="Be Ada."), HI)
    assert has_own_system([Turn(role="system", content="x"), HI])
    assert not has_own_system([HI])


@given(pieces=st.lists(st.tuples(st.text(max_size=5), st.floats(0, 0.2)), max_size=40))
def test_updates_make_up_the_text_and_are_not_too_many(pieces: list[tuple[str, float]]) -> None:
    coalescer = Coalescer(0.05)
    now, updates, times = 0.0, [], []
    for text, pause in pieces:
        now += pause
        if (update := coalescer.add(text, now)) is not None:
            updates.append(update)
            times.append(now)
    updates.append(coalescer.finish())
    assert "".join(update.text for update in updates) == "".join(text for text, _ in pieces)
    assert [update.seq for update in updates] == list(range(len(updates)))
    assert [update.done for update in updates] == [False] * (len(updates) - 1) + [True]
    assert updates[0].text or not any(text for text, _ in pieces)
    assert all(later - earlier >= 0.05 - 1e-9 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("wanted", "flags", "chosen"),
    [
        ("auto", "avx2 avx512f", "float32"),
        ("auto", "avx512_bf16", "bfloat16"),
        ("auto", "", "float32"),
        ("auto", None, "bfloat16"),
        ("float32", None, "float32"),
        ("bfloat16", "", "bfloat16"),
    ],
)
def test_bfloat16_is_chosen_where_it_is_fast(wanted: str, flags: str | None, chosen: str) -> None:
    assert choose_dtype(wanted, flags) == chosen
