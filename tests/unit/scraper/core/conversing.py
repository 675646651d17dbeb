"""Conversations of made-up people, for the tests beside this file."""

from typing import Any

from proto.conversation import Person
from services.scraper.core.replies import Channel, Directory
from services.scraper.core.said import Said
from services.scraper.core.samples import Candidate, Cutter, Shape
from services.scraper.core.segment import split_conversations
from services.scraper.core.timestamps import ts_key

PEOPLE = [
    Person(user_id="U0ADA", handle="ada", display_name="Ada"),
    Person(user_id="U0BRAM", handle="bram", display_name="Bram de Vries"),
    Person(user_id="U0CHIYO", handle="chiyo", display_name="Chiyo"),
    Person(user_id="U0DEV", handle="dev", display_name="Dev"),
]
NAMES = {person.user_id: person.name for person in PEOPLE}
DIRECTORY = Directory.of(PEOPLE)
SHAPE = Shape(min_characters=8, context_messages=12)


def say(user_id: str | None, at: float, text: str, thread: float | None = None, **fields: Any) -> Said:
    """One message of the channel C0ENG."""
    return Said(
        channel_id="C0ENG",
        ts=f"{at:.6f}",
        thread_ts=None if thread is None else f"{thread:.6f}",
        user_id=user_id,
        text=text,
        **fields,
    )


def in_order(messages: list[Said]) -> list[Said]:
    """As a corpus has them."""
    return sorted(messages, key=lambda m: (ts_key(m.thread_ts or m.ts), ts_key(m.ts)))


def cut(
    *messages: Said, shape: Shape = SHAPE, opted_out: frozenset[str] = frozenset()
) -> tuple[list[Candidate], dict[str, int]]:
    """Ada's answers, and what was left out."""
    cutter = Cutter("U0ADA", shape, opted_out)
    candidates = [
        candidate
        for conversation in split_conversations(in_order(list(messages)), Channel(DIRECTORY))
        for candidate in cutter.cut(conversation)
    ]
    return candidates, dict(cutter.dropped)


def heard(candidate: Candidate) -> list[str]:
    """What stands before an answer."""
    return [said.text for said in candidate.context]
