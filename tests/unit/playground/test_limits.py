from dataclasses import dataclass

import pytest

from playground.limits import CLOCK_HEADER, Limits, Mode, allowed_per_minute


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("method", "mode", "allowed"),
    [
        ("conversations.history", "none", None),
        ("conversations.history", "slack", 50),
        ("conversations.history", "distributed", 1),
        ("conversations.replies", "distributed", 1),
        ("users.list", "distributed", 20),
        ("users.info", "slack", 100),
        ("apps.connections.open", "slack", None),
    ],
)
def test_tiers(method: str, mode: Mode, allowed: int | None) -> None:
    assert allowed_per_minute(method, mode) == allowed


def test_a_minute_slides_and_tokens_and_methods_are_apart() -> None:
    clock = Clock()
    limits = Limits("slack", clock=clock)
    for _ in range(20):
        assert limits.take("users.list", "a") is None
        clock.now += 1
    assert limits.take("users.list", "a") == pytest.approx(40)
    assert limits.take("users.list", "b") is None
    assert limits.take("conversations.list", "a") is None
    clock.now += 40
    assert limits.take("users.list", "a") is None
    assert limits.take("users.list", "a") == pytest.approx(1)


def test_a_faster_clock_has_shorter_minutes_and_says_both_waits() -> None:
    clock = Clock()
    limits = Limits("distributed", 60.0, clock=clock)
    assert limits.page_limit("conversations.history") == 15
    assert limits.take("conversations.history", "a") is None
    clock.now += 0.25
    wait_s = limits.take("conversations.history", "a")
    assert wait_s == pytest.approx(0.75)
    assert limits.headers(wait_s or 0.0) == {"Retry-After": "1", CLOCK_HEADER: "45"}
    clock.now += 0.75
    assert limits.take("conversations.history", "a") is None
