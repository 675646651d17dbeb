import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.budget import (
    HISTORY,
    REPLIES,
    SLOW_PAGE,
    Pace,
    floor_s,
    interval_after_429,
    is_slow,
    page_size,
    shows_slow_mode,
    slow_s,
)

methods = st.sampled_from([HISTORY, REPLIES, "users.list", "unknown.method"])
scales = st.sampled_from([1.0, 60.0, 600.0])


@pytest.mark.parametrize(
    ("method", "a_minute"), [(HISTORY, 50), (REPLIES, 50), ("users.list", 20), ("conversations.join", 50)]
)
def test_the_pace_is_four_fifths_of_the_tier_from_the_first_call_on(method: str, a_minute: int) -> None:
    assert 60 / floor_s(method) == pytest.approx(0.8 * a_minute)
    assert floor_s(method, 60) == pytest.approx(floor_s(method) / 60)


@given(methods, scales, st.floats(0, 100), st.floats(0, 30))
def test_a_refusal_slows_down_but_not_for_ever(
    method: str, scale: float, interval_s: float, retry_s: float
) -> None:
    learned = interval_after_429(method, interval_s, retry_s, scale)
    floor = floor_s(method, scale)
    if interval_s >= slow_s(scale):
        assert learned == interval_s
    else:
        assert 2 * floor <= learned <= max(8 * floor, 2 * floor)
        assert learned >= min(interval_s, 8 * floor)


def test_a_long_retry_after_on_a_history_is_the_slow_mode_of_distributed_apps() -> None:
    learned = interval_after_429(HISTORY, floor_s(HISTORY), 60)
    assert learned == slow_s() == 75
    assert is_slow(learned)
    assert not is_slow(interval_after_429("users.list", floor_s("users.list"), 60))
    assert not is_slow(interval_after_429(HISTORY, floor_s(HISTORY), 30))


@pytest.mark.parametrize(
    ("limit", "count", "has_more", "slow"),
    [(999, 15, True, True), (999, 15, False, False), (999, 16, True, False), (15, 15, True, False)],
)
def test_a_page_of_just_fifteen_tells(limit: int, count: int, has_more: bool, slow: bool) -> None:
    assert shows_slow_mode(limit, count, has_more=has_more) is slow


def test_pages_are_as_large_as_slack_gives_and_fifteen_only_in_slow_mode() -> None:
    assert (page_size(HISTORY), page_size(REPLIES)) == (999, 1000)
    assert (page_size(HISTORY, slow=True), page_size(REPLIES, slow=True)) == (SLOW_PAGE, SLOW_PAGE)
    assert page_size("users.list", slow=True) == 1000


def test_at_slacks_own_clock_a_hiccup_makes_up_for_no_call() -> None:
    pace = Pace.of(HISTORY, 1.0)
    assert pace.slack_s <= pace.floor_s / 10
    assert Pace.of(HISTORY, 60).slack_s <= 6 * Pace.of(HISTORY, 60).floor_s
