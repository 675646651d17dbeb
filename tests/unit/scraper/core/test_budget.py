from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.budget import (
    FULL_PAGE,
    SLOW_PAGE,
    interval_after_429,
    page_size,
    slowest_interval_s,
)

methods = st.sampled_from(["conversations.history", "conversations.replies", "users.list", "unknown.method"])


@given(methods, st.floats(0, 100), st.floats(0, 29))
def test_a_refusal_slows_down_but_not_below_the_tiers_pace(
    method: str, interval_s: float, retry_s: float
) -> None:
    learned = interval_after_429(method, interval_s, retry_s)
    assert 0 < learned <= slowest_interval_s(method)
    assert learned >= min(interval_s, slowest_interval_s(method))


def test_a_minute_of_waiting_is_the_slow_mode_of_distributed_apps() -> None:
    interval_s = interval_after_429("conversations.history", 0.0, 60)
    assert interval_s == 60
    assert page_size(interval_s) == SLOW_PAGE
    assert page_size(0.0) == FULL_PAGE
    assert interval_after_429("users.list", 0.0, 60) < 60
