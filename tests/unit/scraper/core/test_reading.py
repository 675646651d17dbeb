"""The short way and the long way say the same of every message."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proto.conversation import Message
from services.scraper.core.json_array import array_elements
from services.scraper.core.raw_message import RawMessage, decode_messages
from services.scraper.core.reading import STRANGERS, Reader, Strangers
from services.scraper.core.rows import BODY, FLAGS, row_of
from services.scraper.core.words import NOBODYS, Spoken, read_message

NAMES = {"U0ADA": "Ada", "W0BRAM": "Bram", "USLACKBOT": "Slackbot", "C0ENG": "eng"}
PREFIX = "000003"

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "plain words",
            " \n ",
            "<@U0ADA> hi",
            "<@U0NOBODY|mallory>",
            "a &amp;lt; b",
            "&lt;",
            "<>",
            "<!subteam^S1>",
            "https://f.example/?t=xoxe-12345678",
            "<https://f.example/?t=xoxe-1-abcd|x>",
            "nul\x00l",
            "x" * 40_001,
            "&amp;" * 9_000,
            "größer 🎉",
        ]
    ),
)
stamps = st.sampled_from(
    [
        "1700000000.000100",
        "1700000001.000200",
        "17.5",
        "1700000000",
        "",
        "x",
        "１７００００００００.000100",
        1700000000,
        None,
    ]
)
users = st.sampled_from(
    ["U0ADA", "W0BRAM", "U0STRANGER", "USLACKBOT", "C0ENG", "", "u0ada", "U0ADA\n", "B1", None, 7]
)
subtypes = st.sampled_from(
    [
        None,
        "",
        "me_message",
        "file_share",
        "bot_message",
        "tombstone",
        "from_the_future",
        "a\x00",
        *sorted(NOBODYS)[:3],
    ]
)
odd = st.sampled_from([None, True, False, 0, 1, "", "x", [], {}, {"ts": "5.000001"}, {"ts": 5}, [1]])
blocks = st.sampled_from(
    [
        None,
        7,
        [],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "in a &lt;block&gt;"}}],
        [
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "1.50"}]}],
            }
        ],
    ]
)
profiles = st.sampled_from(
    [None, {}, [], {"display_name": "Eve", "real_name": 1.5}, {"real_name": " Eve E. "}]
)
plain = {
    "type": st.sampled_from(["message", "message", "file", None]),
    "user": users,
    "text": texts,
    "ts": stamps,
    "thread_ts": stamps,
    "subtype": subtypes,
    "edited": odd,
    "hidden": odd,
    "bot_id": odd,
    "app_id": odd,
    "bot_profile": odd,
    "client_msg_id": odd,
    "blocks": blocks,
    "user_profile": profiles,
    "comment": st.sampled_from([None, {"user": "U0ADA", "comment": "nice"}, {"user": 1.5}, "x"]),
    "unread": odd,
}
whole = st.fixed_dictionaries({}, optional=plain)
changed = st.fixed_dictionaries(
    {"subtype": st.sampled_from(["message_changed", "message_deleted"])},
    optional={
        "ts": stamps,
        "deleted_ts": stamps,
        "message": whole | odd,
        "previous_message": whole | odd,
    },
)
raws = st.lists(whole | changed, max_size=4)
ordinary: dict[str, Any] = {
    "type": "message",
    "user": "U0ADA",
    "ts": "1700000000.000100",
    "client_msg_id": "x",
    "text": "hello",
    "thread_ts": "1690000000.000100",
}


def long_way(data: bytes, window: tuple[str, str]) -> tuple[list[bytes], Counter[str]]:
    dropped: Counter[str] = Counter()
    rows: list[bytes] = []
    for element in array_elements([data], 10**6):
        raw = RawMessage.of(element)
        assert raw is not None
        found = read_message(raw, "C0ENG", NAMES)
        if isinstance(found, str):
            dropped[found] += 1
        elif isinstance(found, Spoken):
            key = row_of(found, "").decode()[:22]
            if (not window[0] or key > window[0]) and (not window[1] or key <= window[1]):
                rows.append(row_of(found, PREFIX))
            else:
                dropped["outside_window"] += 1
        else:
            dropped[found.mark] += 1
            rows.append(row_of(found, PREFIX))
    return rows, dropped


@given(raws, st.sampled_from([("", ""), ("001700000000.000100000", ""), ("", "001700000000.000100000")]))
@example([ordinary, ordinary | {"text": "<@U0ADA>"}, ordinary | {"thread_ts": None}], ("", ""))
def test_both_ways_say_the_same(messages: list[dict[str, Any]], window: tuple[str, str]) -> None:
    data = json.dumps(messages).encode()
    decoded = decode_messages(data)
    if decoded is None:  # something odd in it: the long way is the only one
        decoded = [raw for each in array_elements([data], 10**6) if (raw := RawMessage.of(each))]
    reader = Reader(NAMES, oldest=window[0], latest=window[1])
    assert (reader.rows(decoded, "C0ENG", PREFIX), reader.dropped) == long_way(data, window)


@given(raws)
def test_every_row_is_a_message_that_can_be_stored(messages: list[dict[str, Any]]) -> None:
    read = [raw for each in messages if (raw := RawMessage.of(each))]
    for row in Reader(NAMES).rows(read, "C0ENG", PREFIX):
        assert b"\n" not in row
        if row[BODY:] and row[FLAGS] & 1:
            message = Message.model_validate_json(row[BODY:])
            assert message.text.strip()
            assert message.user_id in (None, "U0ADA", "W0BRAM", "U0STRANGER")


def test_more_than_fits_into_memory_is_not_read_at_once() -> None:
    assert decode_messages(b"[" + b"{}," * 150_000 + b"{}]") is None
    assert len(decode_messages(b"[" + b"{}," * 50_000 + b"{}]") or ()) == 50_001


def test_who_is_missing_in_the_directory_is_met_by_their_newest_name() -> None:
    def by(ts: str, name: str, **fields: Any) -> dict[str, Any]:
        return ordinary | {"user": "U0EVE", "ts": ts, "user_profile": {"display_name": name}} | fields

    messages = [
        by("1700000002.000100", "Eve"),
        by("1700000001.000100", "Eva"),
        by("1700000003.000100", "App", bot_id="B1"),
    ]
    decoded = decode_messages(json.dumps(messages).encode())
    assert decoded is not None
    reader = Reader(NAMES)
    reader.rows(decoded, "C0ENG", PREFIX)
    assert reader.strangers.found() == [("U0EVE", "001700000002.000100000", "Eve")]


@pytest.mark.parametrize("step", [1, -1])
def test_nobody_can_make_us_remember_more(step: int) -> None:
    strangers = Strangers()
    for number in range(3 * STRANGERS)[::step]:
        strangers.add(f"U{number:09d}", "001700000002.000100000", "Eve")
    assert [user_id for user_id, _, _ in strangers.found()] == [f"U{n:09d}" for n in range(STRANGERS)]
