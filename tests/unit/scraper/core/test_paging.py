from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.paging import (
    CHANNEL,
    StoredPage,
    Thread,
    broadcast_root,
    newest_ts,
    objects_in,
    oldest_ts,
    progress_of,
    thread_of,
)


def history(
    page: int, next_ts: str | None, *, last: bool = False, threads: tuple[Thread, ...] = ()
) -> StoredPage:
    return StoredPage("C1", CHANNEL, page, next_ts, last, threads=threads)


def test_a_channel_goes_on_where_its_last_stored_page_ends() -> None:
    first = Thread("90.0", "95.0", 2)
    pages = [history(1, "50.0"), history(0, "80.0", threads=(first,))]
    progress = progress_of(pages)["C1"]
    assert (progress.pages, progress.latest, progress.done) == (2, "50.0", False)
    assert progress.threads == {"90.0": first}
    assert progress_of([*pages, history(2, "1.0", last=True)])["C1"].done


def test_a_thread_goes_on_where_its_last_stored_page_ends() -> None:
    pages = [StoredPage("C1", "90.0", 1, "99.0", True), StoredPage("C1", "90.0", 0, "95.0", False)]
    assert progress_of(pages)["C1"].read["90.0"] == pages[0]


def test_a_thread_is_known_by_its_root_with_replies() -> None:
    root = {"ts": "1.000000", "thread_ts": "1.000000", "reply_count": 3, "latest_reply": "2.000000"}
    assert thread_of(root) == Thread("1.000000", "2.000000", 3)
    for other in (
        {"ts": "1.000000", "reply_count": 0},
        {"ts": "2.000000", "thread_ts": "1.000000", "reply_count": 3},
        {"ts": "1.000000", "reply_count": True},
        {"ts": "1.000000", "reply_count": "3"},
        {"reply_count": 3},
    ):
        assert thread_of(other) is None


def test_a_reply_shown_in_the_channel_names_its_thread() -> None:
    assert broadcast_root({"ts": "2.000000", "thread_ts": "1.000000"}) == "1.000000"
    assert broadcast_root({"ts": "1.000000", "thread_ts": "1.000000"}) is None
    assert broadcast_root({"ts": "1.000000"}) is None


def test_ends_of_a_page_are_compared_as_numbers() -> None:
    page = [{"ts": "999999999.500000"}, {"ts": "1000000000.100000"}, {"ts": None}]
    assert oldest_ts(page) == "999999999.500000"
    assert newest_ts(page) == "1000000000.100000"
    assert oldest_ts([]) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["ts", "thread_ts", "reply_count", "latest_reply"]), json_values))
def test_no_answer_breaks_the_reader(raw: dict[str, Any]) -> None:
    thread_of(raw)
    broadcast_root(raw)
    oldest_ts([raw])
    assert objects_in({"messages": [raw, None, 3]}, "messages") == [raw]
    assert objects_in({"messages": raw}, "messages") == []
