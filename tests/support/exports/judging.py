"""What is wrong with a corpus, given the truth about its export: a list of sentences, empty when all is well."""

import re
from collections.abc import Sequence

from proto.conversation import Message, Person, WordsOf
from tests.support.exports.story import Expected, Truth
from tests.support.exports.words import TOKEN


def faults(truth: Truth, people: Sequence[Person], messages: Sequence[Message]) -> list[str]:
    """Everything that is lost, invented, credited to the wrong person, shown though gone, or out of order."""
    found = _places(truth, messages)
    for message in messages:
        found += [f"{why} is shown" for why in _shown(truth, message.text)]
        if TOKEN in message.text:
            found.append("a file's token is shown")
        if "\x00" in message.text or any("\ud800" <= each <= "\udfff" for each in message.text):
            found.append("a text holds what can't be stored")
    found += _order(messages)
    return found + _people(truth, people)


def _shown(truth: Truth, text: str) -> list[str]:
    return [
        truth.forbidden[word] for word in re.findall(r"forbiddenq[0-9x]+z", text) if word in truth.forbidden
    ]


def _places(truth: Truth, messages: Sequence[Message]) -> list[str]:
    """Match what is there with what should be, by channel and time."""
    found: list[str] = []
    wanted = {(channel, each.ts): each for each in truth.expected for channel in each.channels}
    seen: set[Expected] = set()
    for message in messages:
        expected = wanted.get((message.channel_id, message.ts))
        if expected is None:
            found.append(f"{message.ts} in {message.channel_id} was never said")
        elif expected in seen:
            found.append(f"{message.ts} stands twice")
        else:
            seen.add(expected)
            found += _differences(expected, message)
    found += [f"{each.ts} is lost" for each in truth.expected if each.is_needed and each not in seen]
    return found


def _differences(expected: Expected, message: Message) -> list[str]:
    found: list[str] = []
    if message.user_id not in expected.authors:
        found.append(f"{expected.ts} is credited to {message.user_id}, not one of {set(expected.authors)}")
    is_person = message.words_of is WordsOf.PERSON
    if expected.is_person is not None and is_person is not expected.is_person:
        found.append(f"{expected.ts} counts as words of {message.words_of}")
    if not re.fullmatch(rf"\s*(?:{expected.pattern})\s*", message.text):
        found.append(f"{expected.ts} reads {message.text[:300]!r}, not {expected.pattern[:300]!r}")
    if expected.is_needed and message.thread_ts != expected.thread_ts:
        found.append(f"{expected.ts} is in the thread {message.thread_ts}, not {expected.thread_ts}")
    if expected.edited is not None and message.edited is not expected.edited:
        found.append(f"{expected.ts} has edited {message.edited}")
    return found


def _order(messages: Sequence[Message]) -> list[str]:
    """By channel, then thread, then time."""
    keys = [(m.channel_id, _instant(m.thread_ts or m.ts), _instant(m.ts)) for m in messages]
    return [] if keys == sorted(keys) else ["the messages are out of order"]


def _instant(ts: str) -> tuple[int, int]:
    seconds, fraction = ts.split(".")
    return int(seconds), int(fraction.ljust(9, "0"))


def _people(truth: Truth, people: Sequence[Person]) -> list[str]:
    found: list[str] = []
    may_be = {person.user_id: person.may_be_persona for person in people}
    if len(may_be) != len(people):
        found.append("somebody stands twice in the directory")
    for user_id, allowed in truth.personas.items():
        if allowed is not None and may_be.get(user_id, False) is not allowed:
            found.append(f"{user_id} as a persona: {may_be.get(user_id)}, should be {allowed}")
    found += [f"{user_id} was made up" for user_id in may_be if user_id not in truth.personas]
    return found
