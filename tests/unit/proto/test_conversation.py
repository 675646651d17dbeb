"""How a conversation looks to a persona: the one rendering that datasets and mentions share."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Message, WordsOf, render_turns

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
            assert message.text.strip() in whole
