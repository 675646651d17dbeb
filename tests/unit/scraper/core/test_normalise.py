"""Whose words a message holds, and what a reader would have seen."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Message, WordsOf
from services.scraper.core.normalise import MAX_TEXT, NOBODYS, Deleted, Dropped, Said, normalise

NAMES = {"U0ADA": "Ada Lovelace", "C0ENG": "eng"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "type",
    "subtype",
    "user",
    "text",
    "ts",
    "thread_ts",
    "bot_id",
    "app_id",
    "bot_profile",
    "client_msg_id",
    "blocks",
    "edited",
    "hidden",
    "message",
    "previous_message",
    "deleted_ts",
    "comment",
    "username",
    "user_profile",
]
hostile = st.dictionaries(st.sampled_from(KEYS), json_values | st.just("message_changed"), max_size=10)


def said(**fields: Any) -> Message:
    outcome = normalise(
        {"type": "message", "user": "U0ADA", "ts": "1.000100", "text": "hi"} | fields, "C0ENG", NAMES
    )
    assert isinstance(outcome, Said), outcome
    return outcome.message


def outcome(**fields: Any) -> Any:
    return normalise(
        {"type": "message", "user": "U0ADA", "ts": "1.000100", "text": "hi"} | fields, "C0ENG", NAMES
    )


@given(hostile)
def test_no_json_breaks_it_and_what_is_kept_can_be_stored(raw: dict[str, Any]) -> None:
    found = normalise(raw, "C0ENG", NAMES)
    if isinstance(found, Said):
        again = Message.model_validate_json(found.message.model_dump_json())
        assert again == found.message
        assert found.message.text.strip()
        assert "\x00" not in found.message.text


@given(json_values)
def test_what_is_no_object_is_dropped(raw: Any) -> None:
    if not isinstance(raw, dict):
        assert isinstance(normalise(raw, "C0ENG", NAMES), Dropped)


def test_a_persons_message_is_theirs() -> None:
    message = said(client_msg_id="x", thread_ts="1.000100")
    assert (message.user_id, message.words_of, message.thread_ts) == ("U0ADA", WordsOf.PERSON, "1.000100")


@pytest.mark.parametrize("subtype", ["thread_broadcast", "me_message", "file_share"])
def test_three_subtypes_are_a_persons_own_words(subtype: str) -> None:
    assert said(subtype=subtype).words_of is WordsOf.PERSON


@pytest.mark.parametrize("subtype", sorted(NOBODYS))
def test_notices_are_nobodys_words_though_they_carry_a_user(subtype: str) -> None:
    assert outcome(subtype=subtype) == Dropped(subtype)


@pytest.mark.parametrize(
    "fields",
    [
        {"subtype": "bot_message", "username": "Ada Lovelace"},
        {"subtype": "bot_message", "user": None, "bot_id": "B1", "username": "U0ADA"},
        {"bot_id": "B1"},
        {"bot_id": "B1", "client_msg_id": "x"},
        {"app_id": "A1"},
        {"user": "USLACKBOT"},
    ],
)
def test_an_app_is_never_credited_to_a_person(fields: dict[str, Any]) -> None:
    message = said(**fields)
    assert (message.user_id, message.words_of) == (None, WordsOf.APP)


def test_an_unknown_subtype_is_context_only() -> None:
    assert said(subtype="from_the_future").words_of is WordsOf.UNKNOWN


def test_an_old_file_comment_is_its_authors_not_the_messages() -> None:
    message = said(subtype="file_comment", comment={"user": "U0BRAM", "comment": "nice picture"})
    assert (message.user_id, message.text, message.words_of) == ("U0BRAM", "nice picture", WordsOf.UNKNOWN)


def test_names_come_from_the_directory_and_entities_are_unescaped_once() -> None:
    text = "&lt;b&gt; <@U0ADA|mallory> in <#C0ENG|old-name> &amp;lt; <https://x.example/?a=1&amp;b=2|here>"
    assert said(text=text).text == "<b> @Ada Lovelace in #eng &lt; here (https://x.example/?a=1&b=2)"


def test_blocks_are_read_where_there_is_no_text_and_mean_the_same() -> None:
    elements = [
        {"type": "text", "text": "a < b & "},
        {"type": "user", "user_id": "U0ADA"},
        {"type": "hologram", "text": "unknown"},
        {"type": "emoji", "name": "tada"},
    ]
    section = {"type": "rich_text_section", "elements": elements}
    blocks = [{"type": "rich_text", "elements": [section]}, {"type": "video"}]
    assert said(text="", blocks=blocks).text == "a < b & @Ada Lovelace:tada:"
    assert said(text="typed", blocks=blocks).text == "typed"


def test_a_link_to_a_file_loses_its_token() -> None:
    text = said(text="<https://files.slack.com/a.pdf?t=xoxe-1-abcdef-123>").text
    assert "xoxe" not in text


def test_an_edit_replaces_and_a_deletion_removes() -> None:
    inner = {
        "type": "message",
        "user": "U0ADA",
        "ts": "5.000001",
        "text": "new",
        "edited": {"ts": "9.000000"},
    }
    changed = normalise({"subtype": "message_changed", "ts": "9.000000", "message": inner}, "C0ENG", NAMES)
    assert isinstance(changed, Said)
    assert (changed.message.ts, changed.message.text, changed.message.edited) == ("5.000001", "new", True)
    deleted = normalise({"subtype": "message_deleted", "deleted_ts": "5.000001"}, "C0ENG", NAMES)
    assert deleted == Deleted("5.000001")
    tombstone = {"subtype": "message_changed", "message": {"subtype": "tombstone", "ts": "5.000001"}}
    assert normalise(tombstone, "C0ENG", NAMES) == Deleted("5.000001")


def test_a_number_as_timestamp_keeps_its_digits_when_the_parser_did() -> None:
    from decimal import Decimal

    assert said(ts=Decimal("1700000000.000100")).ts == "1700000000.000100"


def test_a_lone_surrogate_is_no_bug() -> None:
    message = said(text=json.loads('"\\ud800 hello \\u0000"'))
    assert message.text.encode() == b"? hello "


@pytest.mark.parametrize("tail", ["&amp;", "<@U0ADA>", "<https://a.example/x|y>"])
def test_the_limit_never_leaves_half_an_entity_or_half_a_token(tail: str) -> None:
    for room in range(1, len(tail)):
        head = "a" * (MAX_TEXT - room)
        assert said(text=head + tail).text == head
