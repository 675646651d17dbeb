"""What a persona learns from: others' words before, their own after, nothing else."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.samples import Shape
from tests.unit.scraper.core.conversing import cut, heard, say


def test_an_answer_in_a_thread_has_the_thread_before_it() -> None:
    found, dropped = cut(
        say("U0BRAM", 100, "is the release out?", 100),
        say("U0CHIYO", 150, "an unrelated remark"),
        say("U0CHIYO", 9_000, "I wonder too", 100),
        say("U0ADA", 90_000, "it is out; splendid", 100),
    )
    assert [heard(each) for each in found] == [["is the release out?", "I wonder too"]]
    assert found[0].parts == ("it is out; splendid",)
    assert found[0].thread_ts == "100.000000"
    assert dropped == {}


def test_a_thread_under_ones_own_words_is_never_parted_from_them() -> None:
    found, _ = cut(
        say("U0BRAM", 100, "@Ada: how did it go?"),
        say("U0ADA", 110, "it went well, mostly", 110),
        say("U0CHIYO", 900_000, "still so?", 110),
        say("U0ADA", 900_100, "to this day, yes", 110),
        say("U0BRAM", 2_000_000, "a new matter", 2_000_000),
        say("U0ADA", 2_000_100, "an old answer", 2_000_000),
    )
    talks = {each.parts[0]: each.conversation for each in found}
    assert talks["it went well, mostly"] == talks["to this day, yes"] != talks["an old answer"]


def test_several_messages_in_a_row_are_one_answer_of_several_parts() -> None:
    found, dropped = cut(
        say("U0BRAM", 100, "who is in?"),
        say("U0ADA", 110, "i am; always"),
        say("U0ADA", 120, "and early"),
        say("U0ADA", 1_000, "still here, by the way"),
    )
    assert [each.parts for each in found] == [("i am; always", "and early")]
    assert dropped == {"no_context": 1}


def test_what_others_say_to_each_other_does_not_part_an_answer() -> None:
    found, _ = cut(
        say("U0BRAM", 100, "@Ada: who is in?"),
        say("U0CHIYO", 105, "@Dev: lunch?"),
        say("U0ADA", 110, "@Bram de Vries: i am; always"),
        say("U0DEV", 115, "@Chiyo: noodles"),
        say("U0ADA", 120, "@Bram de Vries: and early"),
    )
    assert [(heard(each), each.parts) for each in found] == [
        (["@Ada: who is in?"], ("@Bram de Vries: i am; always", "@Bram de Vries: and early"))
    ]


def test_a_silence_ends_what_a_channel_message_answers() -> None:
    _, dropped = cut(say("U0BRAM", 100, "good night"), say("U0ADA", 40_000, "good morning, all"))
    assert dropped == {"no_context": 1}


def test_apps_and_doubtful_authors_are_never_learnt_from() -> None:
    found, _ = cut(
        say("U0BRAM", 100, "is it deployed?", 100),
        say("U0ADA", 110, "words that are not surely hers", 100, words_of="unknown"),
        say(None, 120, "deployed build 7", 100, words_of="app"),
        say("U0ADA", 130, "deployed; look above", 100),
    )
    assert [each.parts for each in found] == [("deployed; look above",)]
    assert "deployed build 7" in heard(found[0])


def test_who_said_no_leaves_no_trace() -> None:
    said = (
        say("U0BRAM", 100, "the plan is here", 100),
        say("U0CHIYO", 110, "secret thoughts of Chiyo", 100),
        say("U0ADA", 120, "i like the plan", 100),
        say("U0CHIYO", 200, "is it my turn?", 200),
        say("U0ADA", 210, "it is, and splendid", 200),
    )
    found, dropped = cut(*said, opted_out=frozenset({"U0CHIYO"}))
    assert [heard(each) for each in found] == [["the plan is here"]]
    assert dropped == {"no_context": 1}


def test_of_a_row_only_what_is_worth_it_is_learnt_and_the_rest_is_counted() -> None:
    found, dropped = cut(
        say("U0BRAM", 100, "what broke?", 100),
        say("U0ADA", 110, "look at this", 100),
        say("U0ADA", 111, "https://example.com/log", 100),
        say("U0ADA", 112, "> what broke?\nthe cache did", 100),
        say("U0ADA", 113, "!ops restart", 100),
    )
    assert [each.parts for each in found] == [("look at this", "the cache did")]
    assert dropped == {"only_link": 1, "command": 1}


@pytest.mark.parametrize(("least", "reason"), [(5, None), (100, "too_short")])
def test_the_least_length_counts_the_whole_answer(least: int, reason: str | None) -> None:
    found, dropped = cut(
        say("U0BRAM", 100, "and?", 100),
        say("U0ADA", 110, "yes", 100),
        say("U0ADA", 111, "but later", 100),
        shape=Shape(min_characters=least, context_messages=12),
    )
    assert dropped == ({reason: 2} if reason else {})
    assert len(found) == (0 if reason else 1)


def test_what_is_older_than_asked_for_is_left_out() -> None:
    found, dropped = cut(
        say("U0BRAM", 100, "and?", 100),
        say("U0ADA", 110, "an old answer", 100),
        say("U0ADA", 9_000, "a newer answer", 100),
        say("U0BRAM", 9_100, "why?", 100),
        say("U0ADA", 9_200, "the newest answer", 100),
        shape=Shape(8, 12, oldest_key="000000009150.000000000"),
    )
    assert [each.parts for each in found] == [("the newest answer",)]
    assert dropped == {"too_old": 2}


@given(st.integers(1, 20))
def test_context_is_the_newest_messages_up_to_its_bound(messages: int) -> None:
    thread = [say("U0BRAM", 100 + i, f"line {i}", 100) for i in range(30)]
    found, _ = cut(*thread, say("U0ADA", 200, "that was a lot", 100), shape=Shape(8, messages))
    assert heard(found[0]) == [f"line {i}" for i in range(30 - messages, 30)]


authors = st.sampled_from(["U0ADA", "U0BRAM", "U0CHIYO", None])
words = st.text(max_size=30) | st.sampled_from(
    ["@Bram de Vries: splendid", "chiyo, is it?", "> quoted", "ok", "https://x.example", "what do you think?"]
)
messages = st.lists(
    st.tuples(authors, st.integers(1, 20_000), words, st.none() | st.integers(1, 20_000)),
    max_size=60,
    unique_by=lambda row: row[1],
)


@given(messages)
def test_whatever_was_said_each_own_message_is_learnt_or_counted_once(rows: list[Any]) -> None:
    said = [say(user, at, text, thread) for user, at, text, thread in rows]
    found, dropped = cut(*said)
    own = [m for m in said if m.user_id == "U0ADA"]
    assert sum(len(each.parts) for each in found) + sum(dropped.values()) == len(own)
    assert len({each.ts for each in found}) == len(found)
    for each in found:
        assert each.context[-1].user_id != "U0ADA"
        assert all(float(m.ts) < float(each.ts) for m in each.context)
    assert cut(*reversed(said)) == (found, dropped)


@given(messages, st.sampled_from(["U0BRAM", "U0CHIYO"]))
def test_nothing_of_who_said_no_is_in_any_context(rows: list[Any], gone: str) -> None:
    found, _ = cut(*(say(*row) for row in rows), opted_out=frozenset({gone}))
    assert not Counter(m.user_id for each in found for m in each.context)[gone]
