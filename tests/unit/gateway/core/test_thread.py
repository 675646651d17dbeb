"""From a thread to turns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Turn
from services.gateway.core.routing import Bot
from services.gateway.core.thread import (
    Question,
    Voice,
    bounded,
    label,
    people_in,
    read_question,
    turns_of,
    without_mention,
)

BOT = Bot("T1", "A1", "UBOT", "B1")
NAMES = {"U1": "Bram", "U2": "Ada", "UBOT": "doppel"}
ADA = Voice("U2", "Ada")
ITSELF = Voice(None, "doppel")


def turns(
    thread: list[dict[str, Any]], question: str, voice: Voice = ITSELF, asker: str = "U1"
) -> tuple[Turn, ...]:
    return turns_of(
        thread, question, asker, bot=BOT, voice=voice, names=NAMES, channel="C1", question_ts="9.000009"
    )


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("<@UBOT> hi", Question("hi", None)),
        ("<@UBOT|doppel>, hi", Question("hi", None)),
        ("<@UBOT> as <@U2>: hi", Question("hi", "U2")),
        ("<@UBOT> As <@U2|ada> hi", Question("hi", "U2")),
        ("hey <@UBOT> hi", Question("hey <@UBOT> hi", None)),
        ("<@UBOT> as usual", Question("as usual", None)),
        ("<@UBOT>", Question("", None)),
        ("hi", Question("hi", None)),
    ],
)
def test_what_only_addresses_us_is_left_out(typed: str, expected: Question) -> None:
    assert read_question(typed, "UBOT") == expected


def test_a_question_alone_is_one_turn() -> None:
    assert turns([], "what &amp; who is <@U2>?") == (Turn(role="user", content="Bram: what & who is @Ada?"),)


def test_our_own_answers_are_the_assistants() -> None:
    thread = [
        {"ts": "1.000001", "user": "U1", "text": "<@UBOT> one?"},
        {"ts": "2.000001", "user": "UBOT", "bot_id": "B1", "text": "One."},
    ]
    assert [(turn.role, turn.content) for turn in turns(thread, "two?")] == [
        ("user", "Bram: one?"),
        ("assistant", "One."),
        ("user", "Bram: two?"),
    ]


def test_a_personas_posts_are_its_own_and_so_are_the_persons() -> None:
    thread = [
        {"ts": "1.000001", "user": "U2", "text": "from Ada's hand"},
        {
            "ts": "2.000001",
            "bot_id": "B1",
            "subtype": "bot_message",
            "username": "Ada (AI)",
            "text": "from us",
        },
        {
            "ts": "3.000001",
            "bot_id": "B1",
            "subtype": "bot_message",
            "username": "Dev (AI)",
            "text": "another",
        },
        {
            "ts": "4.000001",
            "bot_id": "B7",
            "subtype": "bot_message",
            "username": "Ada (AI)",
            "text": "forged",
        },
    ]
    assert [(turn.role, turn.content) for turn in turns(thread, "so?", ADA)] == [
        ("assistant", "from Ada's hand\n\nfrom us"),
        ("user", "app: another\napp: forged\nBram: so?"),
    ]


def test_a_person_who_asks_their_own_persona_is_the_one_who_asks() -> None:
    assert turns([], "me?", ADA, asker="U2") == (Turn(role="user", content="Ada: me?"),)


def test_joins_and_hidden_rows_are_nobodys_words() -> None:
    thread = [
        {"ts": "1.000001", "user": "U1", "subtype": "channel_join", "text": "<@U1> has joined"},
        {"ts": "2.000001", "user": "U1", "hidden": True, "text": "gone"},
    ]
    assert len(turns(thread, "hm?")) == 1


def test_no_words_are_no_question() -> None:
    assert turns([], " \x00 ") == ()


def test_only_what_was_said_before_the_question_counts_the_newest_first() -> None:
    thread = [{"ts": f"{n}.000001", "text": "x" * 10} for n in (12, 3, 1, 2, 9, 2)]
    kept = bounded(thread, "9.000009", messages=4, characters=1000)
    assert [each["ts"] for each in kept] == ["2.000001", "3.000001", "9.000001"]
    assert [each["ts"] for each in bounded(thread, "9.000009", messages=9, characters=25)] == [
        "3.000001",
        "9.000001",
    ]


def test_everybodys_name_is_asked_for_once() -> None:
    thread = [{"user": "U1", "text": "<@U2|x> and <@U1>"}, {"user": None, "text": None}]
    assert people_in(thread, "<@U3>") == ["U1", "U2", "U3"]


@given(st.text(max_size=300))
def test_a_label_is_short_marked_and_calls_nobody(name: str) -> None:
    shown = label(name)
    assert shown.endswith(" (AI)")
    assert len(shown) <= 80
    assert not set(shown) & set("@<>&\n\u202e\x00")


@given(st.text(max_size=200), st.text(alphabet="<@UBOT>|as :,U2", max_size=60))
def test_reading_a_question_never_fails(text: str, tricky: str) -> None:
    for typed in (text, tricky, f"<@UBOT> {text}", f"<@UBOT> as <@U2> {tricky}"):
        question = read_question(typed, "UBOT")
        assert len(question.text) <= len(typed)
        turns([{"ts": "1.000001", "user": "U1", "text": typed}], question.text)
        without_mention(typed, "UBOT")
