from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Message
from services.scraper.core.incremental import (
    ChannelState,
    Reread,
    is_unchanged,
    living_threads,
    recheck_from,
    state_after,
    stays,
)
from services.scraper.core.paging import CHANNEL, Progress, StoredPage, Thread, progress_of
from services.scraper.core.timestamps import ts_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ago(days: float) -> str:
    return ts_of(NOW - timedelta(days=days))


def said(ts: str, thread_ts: str | None = None, channel_id: str = "C0ENG") -> Message:
    return Message(channel_id=channel_id, ts=ts, thread_ts=thread_ts, user_id="U0ADA", text="hello")


SINCE = recheck_from(NOW, 30)
OLD, YOUNG, ROOT = ago(100), ago(10), ago(20)


def reread(*threads: Thread, read: tuple[StoredPage, ...] = ()) -> Reread:
    progress = Progress(threads={thread.root_ts: thread for thread in threads})
    progress.read = {page.root_ts: page for page in read}
    return Reread(SINCE, progress)


def page_of(root_ts: str, *, gone: bool = False) -> StoredPage:
    return StoredPage("C0ENG", root_ts, 0, None, True, is_gone=gone)


def test_what_is_older_than_the_window_stays() -> None:
    assert reread().stays(said(OLD))
    assert reread().stays(said(ago(99), OLD))


def test_a_message_of_the_window_is_what_the_new_reading_says() -> None:
    assert not reread().stays(said(YOUNG))


def test_replies_of_a_thread_that_did_not_change_stay() -> None:
    assert reread(Thread(ROOT, YOUNG, 1)).stays(said(YOUNG, ROOT))


def test_replies_of_a_thread_that_was_asked_again_are_what_it_says_now() -> None:
    assert not reread(Thread(ROOT, YOUNG, 1), read=(page_of(ROOT),)).stays(said(YOUNG, ROOT))
    living = reread(read=(page_of(OLD),))
    assert living.stays(said(ago(90), OLD))
    assert not living.stays(said(YOUNG, OLD))


def test_nothing_of_a_thread_that_is_gone_stays() -> None:
    assert not reread().stays(said(YOUNG, ROOT))
    gone = reread(read=(page_of(OLD, gone=True),))
    assert not gone.stays(said(OLD))
    assert not gone.stays(said(ago(90), OLD))


def test_channels_that_left_leave_and_those_we_could_not_read_stay() -> None:
    assert not stays(said(OLD), {}, ())
    assert stays(said(YOUNG), {}, ("C0ENG",))
    assert stays(said(OLD), {"C0ENG": reread()}, ())


def test_a_thread_is_not_asked_again_while_its_counters_stand_and_its_replies_are_settled() -> None:
    known = ChannelState(threads={ROOT: (YOUNG, 3)})
    assert is_unchanged(Thread(ROOT, YOUNG, 3), known, NOW)
    assert not is_unchanged(Thread(ROOT, YOUNG, 4), known, NOW)
    assert not is_unchanged(Thread(ROOT, ago(9), 3), known, NOW)
    assert not is_unchanged(Thread(ROOT, YOUNG, 3), None, NOW)
    assert not is_unchanged(Thread(ROOT, ago(3), 3), ChannelState(threads={ROOT: (ago(3), 3)}), NOW)


def test_an_old_thread_is_asked_where_somebody_wrote_lately() -> None:
    known = ChannelState(threads={OLD: (YOUNG, 3), ago(90): (ago(80), 1), ROOT: (YOUNG, 1)})
    assert living_threads(known, SINCE) == [OLD]


def test_the_state_carries_old_threads_and_forgets_those_of_the_window_that_are_gone() -> None:
    known = ChannelState(threads={OLD: (YOUNG, 3), ago(90): (ago(80), 1), ROOT: (YOUNG, 1)})
    pages = [
        StoredPage("C0ENG", CHANNEL, 0, None, True, threads=(Thread(ago(5), ago(4), 2),)),
        StoredPage("C0ENG", OLD, 0, None, True, threads=(Thread(OLD, ago(1), 4),)),
        StoredPage("C0ENG", ago(90), 0, None, True, is_gone=True),
    ]
    state = state_after(progress_of(pages)["C0ENG"], known, SINCE)
    assert state.threads == {OLD: (ago(1), 4), ago(5): (ago(4), 2)}


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=12))
def test_the_next_reading_asks_again_for_no_more_than_what_lives(pairs: list[tuple[float, float]]) -> None:
    threads = {ago(max(a, b)): (ago(min(a, b)), 1) for a, b in pairs}
    known = ChannelState(threads=threads)
    for root_ts in living_threads(known, SINCE):
        assert root_ts <= SINCE < known.threads[root_ts][0]
