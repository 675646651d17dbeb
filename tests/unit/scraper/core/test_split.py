"""Time-ordered: learnt from the past, measured on what came after, no conversation on two sides."""

from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.selection import Entry
from services.scraper.core.split import LEAST, assign, split_entries, target_of
from services.scraper.core.timestamps import ts_key

groups = st.lists(st.integers(1, 60), min_size=3, max_size=60)
small = st.lists(st.integers(1, 4), min_size=60, max_size=90)


def entries_of(sizes: list[int]) -> list[Entry]:
    """Conversations one after the other."""
    entries: list[Entry] = []
    for number, size in enumerate(sizes):
        for _ in range(size):
            at = len(entries)
            entries.append(Entry(ts_key(f"{at}.000000"), "C1", f"talk {number}", 1, at, 1))
    return entries


@given(groups)
def test_every_sample_is_in_one_split_and_no_conversation_in_two(sizes: list[int]) -> None:
    entries = entries_of(sizes)
    splits = split_entries(entries)
    assert sorted(each for split in splits.values() for each in split) == entries
    talks = [{each.conversation for each in split} for split in splits.values()]
    assert sum(map(len, talks)) == len(set[str]().union(*talks)) == len(sizes)
    assert split_entries(reversed(entries)) == splits


@given(small)
def test_what_is_measured_came_after_what_is_learnt(sizes: list[int]) -> None:
    splits = split_entries(entries_of(sizes))
    assert max(splits["train"]) < min(splits["validation"])
    assert max(splits["validation"]) < min(splits["test"])
    total = sum(sizes)
    assert 0.6 * total <= len(splits["train"]) <= 0.9 * total


@given(small)
def test_each_split_has_enough(sizes: list[int]) -> None:
    splits = split_entries(entries_of(sizes))
    assert min(len(samples) for samples in splits.values()) >= LEAST
    assert max(len(splits["validation"]), len(splits["test"])) <= 2 * target_of(sum(sizes))


def test_a_thread_that_would_fill_a_split_is_learnt_from() -> None:
    assert assign({"old": 30, "huge": 60, **{f"t{i}": 2 for i in range(20)}})["huge"] == "train"
    assert assign({**{f"t{i}": 2 for i in range(20)}, "huge": 60})["huge"] == "train"


def test_few_conversations_are_shared_out_as_far_as_they_go() -> None:
    assert assign({"a": 100, "b": 1, "c": 1}) == {"a": "train", "b": "validation", "c": "test"}
    assert assign({"a": 1, "b": 1, "c": 100}) == {"a": "validation", "b": "test", "c": "train"}


def test_two_conversations_can_t_be_split() -> None:
    assert assign({"a": 100, "b": 100}) == {}
    assert assign({}) == {}
