"""Conversations of a channel: its threads, and those that reply cues and silences find outside of threads.

Input is a corpus's order: a root, then its replies, roots by time. So one thread and a short memory of the channel are
all that is ever held.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.scraper.core.replies import MEMORY_S, Placed
from services.scraper.core.said import Said

LONGEST: Final = 200  # messages; a talk in a channel that never ends is cut here, so that splits can be made
THREAD_LIMIT: Final = 5_000  # messages of one thread held at once


@dataclass(frozen=True)
class Conversation:
    """Messages that answer each other, oldest first. `key` is the same each time the corpus is read.

    `known` of them, at the beginning, belong to another conversation: they are context and no sample's words.
    `answers` says, outside of threads, which of the messages each one answers: its index, or None. `root` is
    a thread's first message where it is known, `root_key` the conversation that it is part of.
    """

    key: str
    messages: tuple[Said, ...]
    in_thread: bool
    known: int = 0
    answers: tuple[int | None, ...] = ()
    root: Said | None = None
    root_key: str = ""


@dataclass
class _Open:
    """A conversation under way."""

    key: str
    messages: list[Said] = field(default_factory=list[Said])
    answers: list[int | None] = field(default_factory=list[int | None])
    places: dict[str, int] = field(default_factory=dict[str, int])
    latest: float = 0.0

    def add(self, placed: Placed, answered: Placed | None) -> None:
        self.answers.append(None if answered is None else self.places.get(answered.said.ts))
        self.places[placed.said.ts] = len(self.messages)
        self.messages.append(placed.said)
        self.latest = placed.at

    def closed(self) -> Conversation:
        return Conversation(self.key, tuple(self.messages), False, 0, tuple(self.answers))


class Placer(Protocol):
    """Finds what a channel's messages answer; one per channel, fed in the order of time."""

    def place(self, said: Said) -> tuple[Placed, Placed | None]:
        """The message with its conversation, and the message that it answers, if any."""
        ...


def split_conversations(messages: Iterable[Said], channel: Placer) -> Iterator[Conversation]:
    """One channel's messages, in a corpus's order → its conversations."""
    root: Said | None = None
    root_key = ""
    under_way: OrderedDict[int, _Open] = OrderedDict()  # the one that fell silent first comes first
    for thread in _threads(messages):
        first = thread[0]
        known = 1 if first.is_root else 0
        if root is not None and root.thread != first.thread:
            root, root_key = None, ""
        if known:
            root = first
            placed, answered = channel.place(root)
            while under_way and placed.at - (silent := next(iter(under_way.values()))).latest > MEMORY_S:
                yield silent.closed()
                under_way.popitem(last=False)
            root_key, full = _grown(under_way, placed, answered)
            if full:
                yield full
        if len(thread) > known:
            yield Conversation(
                f"{first.channel_id}/{first.thread}", tuple(thread), True, known, (), root, root_key
            )
    for each in under_way.values():
        yield each.closed()


def _grown(
    under_way: OrderedDict[int, _Open], placed: Placed, answered: Placed | None
) -> tuple[str, Conversation | None]:
    """Add a message to its conversation: its key. One that is full ends here, and the next message begins anew."""
    said, number = placed.said, placed.conversation
    found = under_way.get(number)
    if found is None:
        found = under_way[number] = _Open(f"{said.channel_id}/at/{said.ts}")
    found.add(placed, answered)
    under_way.move_to_end(number)
    if len(found.messages) < LONGEST:
        return found.key, None
    del under_way[number]
    return found.key, found.closed()


def _threads(messages: Iterable[Said]) -> Iterator[list[Said]]:
    """Neighbours of one thread; a message outside threads is a thread of one."""
    thread: list[Said] = []
    for message in messages:
        if thread and (message.thread != thread[0].thread or len(thread) >= THREAD_LIMIT):
            yield thread
            thread = []
        thread.append(message)
    if thread:
        yield thread
