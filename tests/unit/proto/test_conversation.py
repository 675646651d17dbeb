"""How a conversation looks to a persona: the one rendering that datasets and mentions share."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import PART_BREAK, Message, WordsOf, join_parts, render_turns, split_parts

NAMES = {"U0ADA": "Ada", "U0BRAM": "Bram\nthe  second", "U0CHIYO": "Chiyo"}

rows = st.lists(
    st.tuples(
        st.sampled_from(["U0ADA", "U0BRAM", "U0CHIYO", "U0GHOST", None]),
        st.text(max_size=40),
        st.sampled_from(list(WordsOf)),
    ),
    max_size=20,
)


def said(user_id: str | None, text: str, words_of: WordsOf = WordsOf.PERSON) -> Message:
    return Message(channel_id="C0ENG", ts="1.000000", user_id=user_id, text=text, words_of=words_of)


def shown(*messages: Message, persona: str | None = "U0ADA") -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in render_turns(messages, persona, NAMES)]


def test_everybody_else_is_named_and_the_persona_is_not() -> None:
    assert shown(
        said("U0CHIYO", "why?"),
        said("U0BRAM", "because"),
        said("U0ADA", "splendid"),
        said("U0GHOST", "who said that?"),
        said(None, "build 7", WordsOf.APP),
    ) == [
        ("user", "Chiyo: why?\nBram the second: because"),
        ("assistant", "splendid"),
        ("user", "someone: who said that?\napp: build 7"),
    ]


def test_words_that_are_not_surely_theirs_are_no_assistant_turn() -> None:
    assert shown(said("U0ADA", "hm", WordsOf.UNKNOWN)) == [("user", "Ada: hm")]


def test_a_mention_that_opens_a_message_to_the_persona_is_left_out() -> None:
    assert shown(said("U0CHIYO", "@Ada, when?")) == [("user", "Chiyo: when?")]
    assert shown(said("U0CHIYO", "@Ada")) == [("user", "Chiyo: @Ada")]
    assert shown(said("U0CHIYO", "@Adalbert when?")) == [("user", "Chiyo: @Adalbert when?")]
    assert shown(said("U0CHIYO", "ask @Ada")) == [("user", "Chiyo: ask @Ada")]


def test_without_a_persona_all_are_users() -> None:
    assert shown(said("U0ADA", "one"), said(None, "two"), persona=None) == [
        ("user", "Ada: one\nsomeone: two")
    ]


@given(rows)
def test_roles_take_turns_and_nothing_said_is_lost(said_rows: list[Any]) -> None:
    messages = [said(*row) for row in said_rows]
    turns = render_turns(messages, "U0ADA", NAMES)
    roles = [turn.role for turn in turns]
    assert all(one != other for one, other in itertools.pairwise(roles))
    assert set(roles) <= {"user", "assistant"}
    whole = "\n".join(turn.content for turn in turns)
    for message in messages:
        if not message.text.startswith("@"):
            assert message.text.strip() in whole or join_parts([message.text]) in whole


parts = st.lists(
    st.text(st.sampled_from("ab `\n\r\t>.") | st.characters(), max_size=40) | st.just("```x\n\ny```")
)


def test_several_messages_in_a_row_stay_several() -> None:
    turns = render_turns([said("U0ADA", "one"), said("U0ADA", "two\n\nand more")], "U0ADA", NAMES)
    assert [turn.content for turn in turns] == ["one\n\ntwo\nand more"]
    assert split_parts(turns[0].content) == ("one", "two\nand more")


def test_a_code_block_is_never_cut() -> None:
    answer = "look:\n\n```\nfirst\n\nsecond\n```\n\nthat is all"
    assert split_parts(answer) == ("look:", "```\nfirst\n\nsecond\n```", "that is all")
    assert split_parts("```\nnever\n\nclosed") == ("```\nnever\n\nclosed",)


def test_a_message_with_an_open_code_block_does_not_swallow_the_next() -> None:
    assert split_parts(join_parts(["```let it be", "gone"])) == ("```let it be\n```", "gone")


@given(parts)
def test_what_is_joined_is_split_again(texts: list[str]) -> None:
    joined = join_parts(texts)
    expected = tuple(part for text in texts if (part := join_parts([text])))
    assert split_parts(joined) == expected
    assert join_parts(split_parts(joined)) == joined
    assert PART_BREAK not in "".join(expected) or not expected


@given(st.text(st.sampled_from("a`\n \r"), max_size=80))
def test_splitting_loses_no_word(text: str) -> None:
    assert "".join("".join(split_parts(text)).split()) == "".join(text.split())
