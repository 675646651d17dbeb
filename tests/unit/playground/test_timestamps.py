"""Timestamps are text, unique, rising, whatever the clock does; threads count themselves."""

from hypothesis import given
from hypothesis import strategies as st

from playground.channel import Channel, ts_of, us_of
from playground.model import SeedChannel


def channel(clock: list[int]) -> Channel:
    seed = SeedChannel("C1", "one", "public", 1_700_000_000, "U1", ["U1"])
    return Channel(seed, clock=lambda: clock.pop(0) if len(clock) > 1 else clock[0])


@given(st.lists(st.integers(min_value=0, max_value=2**51), min_size=1, max_size=20))
def test_every_ts_is_later_than_the_one_before(clock: list[int]) -> None:
    place = channel(list(clock))
    stamps = [place.next_ts() for _ in range(len(clock) + 3)]
    assert stamps == sorted(set(stamps))


@given(st.integers(min_value=0, max_value=9_999_999_999_999_999))
def test_no_digit_is_lost(microseconds: int) -> None:
    assert us_of(ts_of(microseconds)) == microseconds
    assert len(ts_of(microseconds)) == 17


def test_callers_may_send_fewer_digits() -> None:
    assert us_of("1700000000") == us_of("1700000000.0") == us_of("1700000000.000000")
    assert us_of("1700000000.0001") == us_of("1700000000.000100")


def say(place: Channel, root: str | None = None, user: str = "U1") -> str:
    ts = place.next_ts()
    place.insert({"ts": ts, "user": user, "text": "x"} | ({"thread_ts": root} if root else {}))
    return ts


def test_a_root_counts_its_replies_and_forgets_removed_ones() -> None:
    place = channel([1_700_000_000_000_000])
    root = say(place)
    first, second = say(place, root), say(place, root, "U2")
    found = place.get(root)
    assert found is not None
    assert (found["reply_count"], found["reply_users"], found["latest_reply"]) == (2, ["U1", "U2"], second)
    assert [message["ts"] for message in place.top_level()] == [root]
    place.remove(second)
    assert (found["reply_count"], found["latest_reply"]) == (1, first)
    place.remove(first)
    assert "reply_count" not in found
    assert "thread_ts" not in found


def test_a_removed_root_with_replies_leaves_a_tombstone() -> None:
    place = channel([1_700_000_000_000_000])
    root = say(place)
    say(place, root)
    place.remove(root)
    left = place.get(root)
    assert left is not None
    assert (left["subtype"], left["reply_count"]) == ("tombstone", 1)
