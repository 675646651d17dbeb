"""Who holds a connection and says nothing loses it; who speaks keeps it as long as there is room."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.connections import select_ended


def test_the_silent_have_some_seconds() -> None:
    ended = select_ended({"old": 0.0, "new": 9.0, "spoke": 0.0}, {"spoke"}, 10.0, patience_s=5, most=10)
    assert (ended.cut, ended.let_go) == (["old"], [])


def test_without_room_the_oldest_silent_go_first() -> None:
    opened = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    ended = select_ended(opened, {"a", "d"}, 4.0, patience_s=5, most=3)
    assert (ended.cut, ended.let_go) == (["b"], [])
    ended = select_ended(opened, {"a", "d"}, 4.0, patience_s=5, most=1)
    assert (ended.cut, ended.let_go) == (["b", "c"], ["a"])


@given(
    st.dictionaries(st.integers(0, 50), st.floats(0, 100), max_size=30),
    st.sets(st.integers(0, 50)),
    st.integers(1, 20),
)
def test_there_are_never_more_than_allowed_and_none_goes_twice(
    opened: dict[int, float], spoke: set[int], most: int
) -> None:
    ended = select_ended(opened, spoke, 100.0, patience_s=5, most=most)
    gone = [*ended.cut, *ended.let_go]
    assert len(gone) == len(set(gone))
    assert len(opened) - len(gone) <= most
    assert not set(ended.cut) & spoke
