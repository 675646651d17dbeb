"""Which connections of the door are ended, so that who only holds them keeps nobody else out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Ended(Generic[T]):
    """`cut`: at once, nothing is under way there. `let_go`: after the request that is under way, if there is one."""

    cut: list[T]
    let_go: list[T]


def select_ended(
    opened_at: Mapping[T, float], spoke: Collection[T], now_s: float, *, patience_s: float, most: int
) -> Ended[T]:
    """Those that asked for nothing within `patience_s`; beyond `most` the oldest, the silent before others."""
    by_age = sorted(opened_at, key=lambda each: opened_at[each])
    silent = [each for each in by_age if each not in spoke]
    excess = max(0, len(by_age) - most)
    cut = [
        each for number, each in enumerate(silent) if number < excess or now_s - opened_at[each] > patience_s
    ]
    others = [each for each in by_age if each in spoke]
    return Ended(cut, others[: max(0, excess - len(cut))])
