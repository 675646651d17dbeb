"""Conversations: threads, and what cues and silences find outside of them."""

from services.scraper.core.replies import Channel
from services.scraper.core.segment import LONGEST, THREAD_LIMIT, Conversation, split_conversations
from tests.unit.scraper.core.conversing import DIRECTORY, in_order, say


def conversations(*messages: object) -> list[Conversation]:
    return list(split_conversations(in_order(list(messages)), Channel(DIRECTORY)))  # type: ignore[arg-type]


def texts(found: list[Conversation]) -> list[list[str]]:
    return sorted([said.text for said in each.messages] for each in found)


def test_two_conversations_at_once_are_told_apart() -> None:
    found = conversations(
        say("U0BRAM", 100, "ada: may I ask?"),
        say("U0CHIYO", 101, "dev: lunch?"),
        say("U0ADA", 102, "of course"),
        say("U0DEV", 103, "chiyo, noodles"),
        say("U0BRAM", 104, "why?"),
    )
    assert texts(found) == [["ada: may I ask?", "of course", "why?"], ["dev: lunch?", "chiyo, noodles"]]


def test_a_root_is_of_the_channel_and_known_in_its_thread() -> None:
    found = conversations(say("U0BRAM", 100, "root", 100), say("U0ADA", 200, "reply", 100))
    assert [(each.in_thread, each.known, len(each.messages)) for each in found] == [
        (True, 1, 2),
        (False, 0, 1),
    ]


def test_replies_whose_root_is_missing_are_a_thread_all_the_same() -> None:
    found = conversations(say("U0BRAM", 200, "one", 100), say("U0ADA", 300, "two", 100))
    assert [(each.in_thread, each.known) for each in found] == [(True, 0)]


def test_what_never_ends_is_cut_and_nothing_is_lost() -> None:
    talk = [say(("U0BRAM", "U0CHIYO")[i % 2], 100 + 10 * i, f"message {i}") for i in range(2 * LONGEST + 7)]
    found = conversations(*talk)
    assert max(len(each.messages) for each in found) <= LONGEST
    assert sum(len(each.messages) for each in found) == len(talk)
    assert len({each.key for each in found}) == len(found)


def test_a_huge_thread_is_held_in_pieces_of_one_name() -> None:
    thread = [say("U0BRAM", 100 + i, "x", 100) for i in range(THREAD_LIMIT + 3)]
    found = [each for each in conversations(*thread) if each.in_thread]
    assert len(found) == 2
    assert len({each.key for each in found}) == 1
    assert {each.root for each in found} == {thread[0]}
    assert len({each.root_key for each in found}) == 1
