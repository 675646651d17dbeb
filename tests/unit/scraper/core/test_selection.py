from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.selection import Entry, Newest, select
from services.scraper.core.timestamps import ts_key


def entry(at: int, channel_id: str = "C1", messages: int = 1) -> Entry:
    return Entry(ts_key(f"{at}.000000"), channel_id, f"{channel_id}/{at}", messages, at, 1)


def answer(of: Entry) -> str:
    return f"number {of.offset} says {of.offset * 7919} and {of.offset**3}"


@given(st.integers(1, 10), st.integers(0, 60))
def test_the_newest_are_held(limit: int, count: int) -> None:
    newest = Newest(limit)
    newest.add(entry(at, messages=2) for at in range(count))
    newest.prune()
    assert sorted(each.offset for each in newest.entries) == list(range(max(0, count - limit), count))
    assert newest.dropped == 2 * max(0, count - limit)


def test_the_newest_are_taken_up_to_each_cap() -> None:
    entries = [entry(at, "C1" if at % 2 else "C2") for at in range(20)]
    chosen, dropped = select(entries, answer, max_samples=7, channel_samples=3)
    assert [each.offset for each in chosen] == [19, 18, 17, 16, 15, 14]
    assert dropped == {"over_channel_cap": 14}
    chosen, dropped = select(entries, answer, max_samples=4, channel_samples=9)
    assert [each.offset for each in chosen] == [19, 18, 17, 16]
    assert dropped == {"over_cap": 16}


def test_a_near_duplicate_leaves_its_place_to_another() -> None:
    entries = [entry(at) for at in range(4)]
    texts = {
        3: "what I always say about this",
        2: "what I always say about this!",
        1: "",
        0: "something else",
    }
    chosen, dropped = select(entries, lambda each: texts[each.offset], max_samples=2, channel_samples=9)
    assert [each.offset for each in chosen] == [3, 0]
    assert dropped == {"near_duplicate": 1, "only_private": 1}


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(1, 5))
def test_the_order_of_reading_changes_nothing(order: list[int], most: int, channel: int) -> None:
    entries = [entry(at, f"C{at % 3}") for at in range(12)]
    expected = select(entries, answer, max_samples=most, channel_samples=channel)
    assert select([entries[i] for i in order], answer, max_samples=most, channel_samples=channel) == expected
