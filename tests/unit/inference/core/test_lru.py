"""Order of use, references, single flight and the negative cache, checked against a plain model of them."""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.inference.core.lru import BROKEN_S, REMEMBERED, DiskLru, Fetch, Refuse, Use, Wait

LIMIT = 100
KEYS = range(4)


@dataclass
class Plain:
    """One copy, told in full: no indexes, no derived numbers."""

    key: int
    number: int
    state: Literal["fetching", "offered", "retired"]
    size: int = 0
    pins: int = 0
    used_at: int = 0


class LruMachine(RuleBasedStateMachine):
    """The model is a list of copies; every question is answered by looking through it."""

    def __init__(self) -> None:
        super().__init__()
        self.lru: DiskLru[int] = DiskLru(LIMIT)
        self.copies: list[Plain] = []
        self.broken_until = dict.fromkeys(KEYS, 0.0)
        self.now = 0.0
        self.turn = 0
        self.given: set[int] = set()

    def of(self, *states: str) -> list[Plain]:
        return [copy for copy in self.copies if copy.state in states]

    def touch(self, copy: Plain) -> None:
        self.turn += 1
        copy.used_at = self.turn

    @rule(key=st.sampled_from(KEYS))
    def ask(self, key: int) -> None:
        step = self.lru.ask(key, self.now)
        mine = [copy for copy in self.of("offered", "fetching") if copy.key == key]
        assert len(mine) <= 1
        if mine and mine[0].state == "offered":
            assert step == Use(mine[0].number)
        elif mine:
            assert step == Wait(mine[0].number)
        elif self.now < self.broken_until[key]:
            assert step == Refuse("bad")
        else:
            assert isinstance(step, Fetch)
            assert step.number not in self.given, "a number was given twice"
            self.given.add(step.number)
            self.copies.append(Plain(key, step.number, "fetching"))

    @precondition(lambda self: self.of("fetching"))
    @rule(data=st.data(), size=st.integers(1, 60))
    def arrives(self, data: st.DataObject, size: int) -> None:
        copy = data.draw(st.sampled_from(self.of("fetching")))
        self.lru.arrived(copy.key, copy.number, size)
        copy.state, copy.size = "offered", size
        self.touch(copy)

    @precondition(lambda self: self.of("fetching"))
    @rule(data=st.data())
    def does_not_come(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from(self.of("fetching")))
        self.lru.failed(copy.key, copy.number)
        self.copies.remove(copy)

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def is_broken(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from(self.copies))
        self.lru.broke(copy.key, copy.number, "bad", self.now)
        self.broken_until[copy.key] = self.now + BROKEN_S
        if copy.state == "fetching":
            self.copies.remove(copy)
        copy.state = "retired"

    @precondition(lambda self: self.of("offered", "retired"))
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from(self.of("offered", "retired")))
        self.lru.pin(copy.number)
        copy.pins += 1
        self.touch(copy)

    @precondition(lambda self: self.of("offered", "retired"))
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        copy = data.draw(st.sampled_from(self.of("offered", "retired")))
        if copy.pins:
            self.lru.unpin(copy.number)
            copy.pins -= 1
            self.touch(copy)

    @rule(number=st.integers(0, 40))
    def retire(self, number: int) -> None:
        self.lru.retire(number)
        for copy in self.of("offered"):
            if copy.number == number:
                copy.state = "retired"

    @rule()
    def leave(self) -> None:
        gone = [copy.number for copy in self.of("retired") if not copy.pins]
        stay = [copy for copy in self.of("offered", "retired") if copy.number not in gone]
        while sum(copy.size for copy in stay) > LIMIT:
            free = [copy for copy in stay if not copy.pins]
            if not free:
                break
            oldest = min(free, key=lambda copy: copy.used_at)
            stay.remove(oldest)
            gone.append(oldest.number)
        assert sorted(self.lru.leave()) == sorted(gone)
        self.copies = [copy for copy in self.copies if copy.number not in gone]

    @rule(seconds=st.sampled_from([1.0, BROKEN_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def agrees(self) -> None:
        on_disk = self.of("offered", "retired")
        assert self.lru.used_bytes == sum(copy.size for copy in on_disk)
        assert len(self.lru) == len(on_disk)
        assert all(self.lru.pins(copy.number) == copy.pins for copy in on_disk)
        assert self.lru.offered() == {copy.key: copy.number for copy in self.of("offered")}
        assert all((key in self.lru) == (key in self.lru.offered()) for key in KEYS)


LruMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestLru = LruMachine.TestCase


def shelved(lru: DiskLru[str], key: str, size: int) -> int:
    step = lru.ask(key, 0)
    assert isinstance(step, Fetch)
    lru.arrived(key, step.number, size)
    return step.number


def test_who_is_in_use_never_leaves() -> None:
    lru: DiskLru[str] = DiskLru(10)
    used = shelved(lru, "used", 20)
    lru.pin(used)
    idle = shelved(lru, "idle", 20)
    assert lru.leave() == [idle]
    lru.unpin(used)
    assert lru.leave() == [used]


def test_a_retired_copy_and_a_new_one_of_the_same_version_are_two() -> None:
    lru: DiskLru[str] = DiskLru(100)
    old = shelved(lru, "ada", 20)
    lru.pin(old)
    lru.retire(old)
    new = shelved(lru, "ada", 20)
    lru.pin(new)
    lru.unpin(old)
    assert lru.leave() == [old]
    assert lru.ask("ada", 0) == Use(new)
    assert lru.pins(new) == 1


def test_more_broken_versions_than_remembered_take_no_more_memory() -> None:
    lru: DiskLru[int] = DiskLru(100)
    for key in range(REMEMBERED + 1):
        step = lru.ask(key, 0)
        assert isinstance(step, Fetch)
        lru.broke(key, step.number, "bad", 0)
    assert lru.ask(REMEMBERED, 0) == Refuse("bad")
    assert isinstance(lru.ask(0, 0), Fetch)


def test_who_was_never_asked_to_fetch_cant_deliver() -> None:
    lru: DiskLru[str] = DiskLru(100)
    with pytest.raises(KeyError):
        lru.arrived("ada", 1, 10)
    number = shelved(lru, "ada", 10)
    with pytest.raises(KeyError):
        lru.failed("ada", number)
    with pytest.raises(KeyError):
        lru.unpin(number)
