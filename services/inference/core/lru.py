"""Which adapters stay on disk: the least recently used leave first, and nobody who is in use."""

from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass
class Entry:
    """What is known of one adapter on disk."""

    size_bytes: int
    pins: int = 0


class DiskLru(Generic[K]):
    """Sizes, pins and order of use; it names victims, the caller deletes them."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._entries: dict[K, Entry] = {}  # oldest use first

    def __contains__(self, key: object) -> bool:
        """Whether it is on disk."""
        return key in self._entries

    def __len__(self) -> int:
        """How many are on disk."""
        return len(self._entries)

    @property
    def used_bytes(self) -> int:
        """What they take together."""
        return sum(entry.size_bytes for entry in self._entries.values())

    def pins(self, key: K) -> int:
        """How many use it now."""
        return self._entries[key].pins

    def add(self, key: K, size_bytes: int) -> None:
        """It is on disk from now on, and was just used. Raises KeyError where it already was."""
        if key in self._entries:
            raise KeyError(key)
        self._entries[key] = Entry(size_bytes)

    def pin(self, key: K) -> None:
        """Somebody uses it. Raises KeyError."""
        entry = self._entries.pop(key)
        entry.pins += 1
        self._entries[key] = entry

    def unpin(self, key: K) -> None:
        """Somebody is done with it; its use ends now. What was forgotten meanwhile stays forgotten."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.pins = max(0, entry.pins - 1)
            self._entries[key] = entry

    def forget(self, key: K) -> None:
        """It is no longer offered; who uses it keeps it until they are done."""
        self._entries.pop(key, None)

    def evict(self) -> list[K]:
        """Forget as many as the limit asks for and name them, oldest use first. Pinned ones stay regardless."""
        victims: list[K] = []
        used = self.used_bytes
        for key, entry in list(self._entries.items()):
            if used <= self.limit_bytes:
                break
            if entry.pins == 0:
                used -= entry.size_bytes
                del self._entries[key]
                victims.append(key)
        return victims
