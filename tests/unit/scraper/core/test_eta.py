import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.eta import ChannelSpan, eta_s, remaining_requests

YEAR = 365 * 86_400.0


def span(**fields: float | bool | None) -> ChannelSpan:
    return ChannelSpan(**({"begins_s": 0.0, "ends_s": YEAR} | fields))  # type: ignore[arg-type]


def test_before_anything_is_read_each_channel_counts_as_one_page() -> None:
    assert remaining_requests([span(), span()]) == (2, 0)


def test_the_share_of_time_covered_tells_the_pages_that_are_left() -> None:
    pages, _ = remaining_requests([span(pages=5, covered_to_s=YEAR / 2)])
    assert pages == pytest.approx(5)


def test_a_channel_not_begun_counts_as_the_average_of_the_others() -> None:
    pages, _ = remaining_requests([span(pages=4, done=True), span(pages=5, covered_to_s=YEAR / 2), span()])
    assert pages == pytest.approx(5 + (4 + 10) / 2)


def test_threads_known_and_threads_to_be_found_both_count() -> None:
    spans = [span(pages=2, done=True, threads_found=20, threads_open=7), span()]
    pages, threads = remaining_requests(spans)
    assert pages == 2
    assert threads == 7 + 2 * 10
    assert remaining_requests(spans, calls_per_thread=3.0)[1] == 3 * threads


def test_the_slowest_method_counts() -> None:
    assert eta_s({"a": 10, "b": 4}, {"a": 1.5, "b": 75}) == 300
    assert eta_s({}, {}) == 0


@given(
    st.lists(
        st.builds(
            ChannelSpan,
            begins_s=st.floats(0, 2e9),
            ends_s=st.floats(0, 2e9),
            covered_to_s=st.none() | st.floats(0, 2e9),
            pages=st.integers(0, 1000),
            threads_found=st.integers(0, 1000),
            threads_open=st.integers(0, 1000),
            done=st.booleans(),
        )
    )
)
def test_no_state_gives_less_than_nothing(spans: list[ChannelSpan]) -> None:
    pages, threads = remaining_requests(spans)
    assert pages >= 0
    assert threads >= 0
    if all(each.done for each in spans):
        assert pages == 0
