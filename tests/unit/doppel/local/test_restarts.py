"""When an ended child comes back."""

from hypothesis import given
from hypothesis import strategies as st

from doppel.local.restarts import LIMIT, MAX_DELAY_S, WINDOW_S, Restarts


def test_the_first_end_is_forgiven_at_once_and_later_ones_take_longer() -> None:
    restarts = Restarts()
    delays = [restarts.after_end(second) for second in (0.0, 1.0, 2.0, 3.0)]
    assert delays == sorted(d for d in delays if d is not None)
    assert delays[0] is not None
    assert delays[0] < 0.5


def test_the_fifth_end_within_a_minute_is_the_last() -> None:
    restarts = Restarts()
    assert [restarts.after_end(float(second)) is None for second in range(5)] == [False] * 4 + [True]


def test_ends_that_lie_apart_never_add_up() -> None:
    restarts = Restarts()
    assert all(restarts.after_end(second * WINDOW_S) is not None for second in range(20))


@given(st.lists(st.floats(min_value=0, max_value=120), min_size=1, max_size=60))
def test_it_gives_up_exactly_when_a_minute_holds_five_ends(gaps: list[float]) -> None:
    restarts, ends, now = Restarts(), list[float](), 0.0
    for gap in gaps:
        now += gap
        ends.append(now)
        delay = restarts.after_end(now)
        assert (delay is None) == (len([end for end in ends if now - end < WINDOW_S]) >= LIMIT)
        assert delay is None or 0 < delay <= MAX_DELAY_S
