"""What was said to us while nobody listened."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.catching_up import (
    MOST_THREADS,
    Pace,
    event_of,
    ids_of,
    is_mention,
    missed_in,
    threads_to_read,
)
from services.gateway.core.routing import Bot

BOT = Bot("T1", "A1", "UBOT", "B1")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=15)


def at(minutes_ago: float) -> str:
    return f"{(NOW - timedelta(minutes=minutes_ago)).timestamp():.6f}"


def message(minutes_ago: float, text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": "U0BRAM", "ts": at(minutes_ago), "text": text} | more


def test_mentions_since_then_are_found_and_nothing_else() -> None:
    mention = f"<@{BOT.user_id}> hello"
    messages = [
        message(5, mention),
        message(4, f"<@{BOT.user_id}|doppel> with a label"),
        message(3, "hello nobody"),
        message(2, f"<@{BOT.user_id}X> somebody else"),
        message(20, mention),
        message(1, mention, ts="none"),
        message(1, mention, ts=None),
    ]
    found = missed_in(messages, BOT, "C1", SINCE)
    assert [said.ts for said in found] == [at(5), at(4)]
    assert {(said.type, said.channel) for said in found} == {("app_mention", "C1")}


def test_in_a_direct_message_every_word_is_to_us() -> None:
    found = missed_in([message(3, "hello")], BOT, "D1", SINCE)
    assert [(said.type, said.channel_type) for said in found] == [("message", "im")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ts", "text", "user", "thread_ts", "blocks"]), inner, max_size=5)
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["ts", "text", "user", "thread_ts", "subtype", "bot_id"]), JSON),
        max_size=4,
    )
)
def test_whatever_slack_shows_nothing_breaks(messages: list[dict[str, Any]]) -> None:
    for said in missed_in(messages, BOT, "D1", SINCE):
        assert event_of(said, BOT).event_id == f"catchup:D1:{said.ts}"
    threads_to_read(messages, [], SINCE)


def test_found_twice_it_is_one_event() -> None:
    (said,) = missed_in([message(3, f"<@{BOT.user_id}> again?")], BOT, "C1", SINCE)
    assert event_of(said, BOT) == event_of(said, BOT)
    assert event_of(said, BOT).event_time == int(at(3).partition(".")[0])


def test_threads_with_news_are_read_and_old_roots_too_where_we_spoke() -> None:
    messages = [
        message(60, "new below", latest_reply=at(5)),
        message(50, "old below", latest_reply=at(40)),
        message(10, "nothing below"),
    ]
    known = [at(3000), at(50)]  # one that was not shown, one that was, and has nothing new
    assert threads_to_read(messages, known, SINCE) == [at(60), at(3000)]
    many = [message(10 + i / 10, "x", latest_reply=at(1)) for i in range(50)]
    newest_first = threads_to_read(many, [], SINCE)
    assert len(newest_first) == MOST_THREADS
    assert newest_first == sorted(newest_first, reverse=True)


def test_ids_of_channels_that_are_channels() -> None:
    assert ids_of([{"id": "C1"}, {"id": 2}, "C3", None, {}]) == ["C1"]


def test_a_name_that_begins_like_ours_is_not_ours() -> None:
    assert not is_mention("<@U1X>", "U1")
    assert is_mention("a <@U1> b", "U1")


@given(st.integers(1, 10), st.floats(1, 60), st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_minute_sees_more_than_the_burst_and_its_share(
    burst: int, a_minute: float, pauses: list[float]
) -> None:
    pace, now, used = Pace(burst, a_minute), 0.0, list[float]()
    for pause in pauses:
        now += pause
        now += pace.take(now)  # who is told to wait does
        used.append(now)
    for index, start in enumerate(used):
        within = sum(1 for each in used[index:] if each < start + 60)
        assert within <= burst + a_minute + 1
