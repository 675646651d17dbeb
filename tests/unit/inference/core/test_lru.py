"""The disk's order of use, checked against a plain model of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.inference.core.lru import DiskLru

LIMIT = 100
keys = st.integers(0, 5)


class LruMachine(RuleBasedStateMachine):
    """The model is a list of [key, size, pins] in order of use."""

    def __init__(self) -> None:
        super().__init__()
        self.lru: DiskLru[int] = DiskLru(LIMIT)
        self.model: list[list[int]] = []

    def known(self, key: int) -> list[int] | None:
        return next((entry for entry in self.model if entry[0] == key), None)

    @rule(key=keys, size=st.integers(1, 60))
    def add(self, key: int, size: int) -> None:
        if self.known(key):
            with pytest.raises(KeyError):
                self.lru.add(key, size)
        else:
            self.lru.add(key, size)
            self.model.append([key, size, 0])

    @rule(key=keys)
    def pin(self, key: int) -> None:
        entry = self.known(key)
        if entry is None:
            with pytest.raises(KeyError):
                self.lru.pin(key)
            return
        self.lru.pin(key)
        entry[2] += 1
        self.model.remove(entry)
        self.model.append(entry)

    @rule(key=keys)
    def unpin(self, key: int) -> None:
        self.lru.unpin(key)
        if entry := self.known(key):
            entry[2] = max(0, entry[2] - 1)
            self.model.remove(entry)
            self.model.append(entry)

    @rule(key=keys)
    def forget(self, key: int) -> None:
        self.lru.forget(key)
        self.model = [entry for entry in self.model if entry[0] != key]

    @precondition(lambda self: self.model)
    @rule()
    def evict(self) -> None:
        expected = []
        for entry in list(self.model):
            if sum(size for _, size, _ in self.model) <= LIMIT:
                break
            if entry[2] == 0:
                expected.append(entry[0])
                self.model.remove(entry)
        assert self.lru.evict() == expected

    @invariant()
    def agrees(self) -> None:
        assert self.lru.used_bytes == sum(size for _, size, _ in self.model)
        assert len(self.lru) == len(self.model)
        assert all(self.lru.pins(key) == pins for key, _, pins in self.model)


LruMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLru = LruMachine.TestCase


def test_who_is_in_use_is_never_evicted() -> None:
    lru: DiskLru[str] = DiskLru(10)
    lru.add("used", 20)
    lru.pin("used")
    lru.add("idle", 20)
    assert lru.evict() == ["idle"]
    lru.unpin("used")
    assert lru.evict() == ["used"]
