"""Conversations of a channel: threads, and stretches of the channel itself between two silences.

Input is a corpus's order: a root, then its replies, roots by time. So one thread and a short memory of the channel are
all that is ever held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from proto.conversation import Message
from services.scraper.core.timestamps import seconds_of

GAP_S: Final = 30 * 60.0  # a silence this long ends a conversation in the channel
LONGEST: Final = 60  # messages; a channel that never falls silent is cut here, so that splits can be made
THREAD_LIMIT: Final = 5_000  # messages of one thread held at once


@dataclass(frozen=True)
class Conversation:
    """Messages that answer each other, oldest first. `key` is the same each time the corpus is read.

    `known` of them, at the beginning, belong to another conversation: they are context and no sample's words.
    """

    key: str
    messages: tuple[Message, ...]
    in_thread: bool
    known: int = 0


def split_conversations(messages: Iterable[Message]) -> Iterator[Conversation]:
    """One channel's messages, in a corpus's order → its conversations."""
    stretch: list[Message] = []
    for thread in _threads(messages):
        root = thread[0]
        if _is_root(root):
            if stretch and (len(stretch) >= LONGEST or _silence_s(stretch[-1], root) > GAP_S):
                yield _stretch(stretch)
                stretch = []
            stretch.append(root)
        known = 1 if _is_root(root) else 0
        if len(thread) > known:
            yield Conversation(f"{root.channel_id}/{root.thread_ts or root.ts}", tuple(thread), True, known)
    if stretch:
        yield _stretch(stretch)


def _threads(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Neighbours of one thread; a message outside threads is a thread of one."""
    thread: list[Message] = []
    for message in messages:
        same = bool(thread) and (message.thread_ts or message.ts) == (thread[0].thread_ts or thread[0].ts)
        if not same or len(thread) >= THREAD_LIMIT:
            if thread:
                yield thread
            thread = []
        thread.append(message)
    if thread:
        yield thread


def _is_root(message: Message) -> bool:
    return message.thread_ts is None or message.thread_ts == message.ts


def _silence_s(before: Message, after: Message) -> float:
    return seconds_of(after.ts) - seconds_of(before.ts)


def _stretch(messages: list[Message]) -> Conversation:
    return Conversation(f"{messages[0].channel_id}/at/{messages[0].ts}", tuple(messages), False)
