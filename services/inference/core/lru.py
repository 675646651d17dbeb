"""Which adapters are on disk, who fetches one, who uses one, which are broken, and which leave.

The whole policy, and nothing else: it names numbers, the caller moves files. A number stands for one copy and is never
given twice. A version (the key) has at most one copy on offer; a retired copy stays until its last user is done, also
while a newer copy of the same version is on offer already.
"""

import itertools
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K")

BROKEN_S: Final = 60.0  # how long a broken version is refused unseen; the bucket may have been repaired since
REMEMBERED: Final = 1000  # broken versions; the oldest are forgotten first


@dataclass(frozen=True)
class Use:
    """It is on disk: pin this copy."""

    number: int


@dataclass(frozen=True)
class Fetch:
    """Nobody has it: bring it to disk under this number, then say how that ended."""

    number: int


@dataclass(frozen=True)
class Wait:
    """Somebody is bringing it: ask again when they are done."""

    number: int


@dataclass(frozen=True)
class Refuse:
    """It was found broken a moment ago."""

    reason: str


@dataclass
class Copy(Generic[K]):
    """One copy on disk."""

    key: K
    size_bytes: int
    pins: int = 0
    retired: bool = False


class DiskLru(Generic[K]):
    """Sizes, pins and order of use. Single flight and negative cache are states of a version, not locks."""

    def __init__(self, limit_bytes: int, first_number: int = 1) -> None:
        self.limit_bytes = limit_bytes
        self._numbers = itertools.count(first_number)
        self._copies: dict[int, Copy[K]] = {}  # oldest use first
        self._offered: dict[K, int] = {}
        self._fetching: dict[K, int] = {}
        self._broken: dict[K, tuple[float, str]] = {}  # oldest finding first

    def __contains__(self, key: object) -> bool:
        """Whether a copy of it is on offer."""
        return key in self._offered

    def __len__(self) -> int:
        """How many copies are on disk, retired ones too."""
        return len(self._copies)

    @property
    def used_bytes(self) -> int:
        """What they take together."""
        return sum(copy.size_bytes for copy in self._copies.values())

    def pins(self, number: int) -> int:
        """How many use this copy now; 0 for one that is gone."""
        return self._copies[number].pins if number in self._copies else 0

    def ask(self, key: K, now: float) -> Use | Fetch | Wait | Refuse:
        """What somebody who needs this version does next."""
        if key in self._offered:
            return Use(self._offered[key])
        if key in self._fetching:
            return Wait(self._fetching[key])
        if key in self._broken:
            until, reason = self._broken[key]
            if now < until:
                return Refuse(reason)
            del self._broken[key]
        self._fetching[key] = next(self._numbers)
        return Fetch(self._fetching[key])

    def arrived(self, key: K, number: int, size_bytes: int) -> None:
        """It is on disk and checked: on offer from now on, and just used."""
        self._land(key, number)
        self._copies[number] = Copy(key, size_bytes)
        self._offered[key] = number

    def failed(self, key: K, number: int) -> None:
        """It did not come, for a reason that passes by itself: whoever asks next fetches."""
        self._land(key, number)

    def broke(self, key: K, number: int, reason: str, now: float) -> None:
        """It came and is no good, or its copy was refused: nobody gets it, and nobody fetches it for a while."""
        if self._fetching.get(key) == number:
            self._land(key, number)
        self.retire(number)
        self._broken.pop(key, None)
        self._broken[key] = (now + BROKEN_S, reason)
        while len(self._broken) > REMEMBERED:
            del self._broken[next(iter(self._broken))]

    def pin(self, number: int) -> None:
        """Somebody uses this copy. Raises KeyError where it is gone."""
        copy = self._copies.pop(number)
        copy.pins += 1
        self._copies[number] = copy

    def unpin(self, number: int) -> None:
        """Somebody is done with it; its use ends now. Raises KeyError where nobody was using it."""
        if not self.pins(number):
            raise KeyError(number)
        copy = self._copies.pop(number)
        copy.pins -= 1
        self._copies[number] = copy

    def retire(self, number: int) -> None:
        """No new users; it leaves with its last one. Gone ones are fine."""
        copy = self._copies.get(number)
        if copy is None or copy.retired:
            return
        copy.retired = True
        del self._offered[copy.key]

    def offered(self) -> dict[K, int]:
        """Versions on offer and their copies."""
        return dict(self._offered)

    def leave(self) -> list[int]:
        """Forget what must go and name it: retired copies nobody uses, then the least recently used above the limit."""
        gone = [number for number, copy in self._copies.items() if copy.retired and not copy.pins]
        used = self.used_bytes - sum(self._copies[number].size_bytes for number in gone)
        for number, copy in self._copies.items():
            if used <= self.limit_bytes:
                break
            if not copy.pins and not copy.retired:
                used -= copy.size_bytes
                gone.append(number)
        for number in gone:
            self.retire(number)
            del self._copies[number]
        return gone

    def _land(self, key: K, number: int) -> None:
        if self._fetching.get(key) != number:
            raise KeyError(number)
        del self._fetching[key]
