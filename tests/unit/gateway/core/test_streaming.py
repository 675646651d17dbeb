"""What is shown of an answer only ever grows, and can do nothing."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.generate import TokenDelta
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import METADATA_TYPE
from services.gateway.core.routing import Bot
from services.gateway.core.streaming import MOST_STREAMED, Written, may_stream, select_begun, showable
from tests.unit.gateway.core.test_dispatch import row as any_row

BOT = Bot("T1", "A1", "UBOT", "B1")
ID = uuid4()
TEXT = st.text(alphabet="ab \n\r`<>@!#&|*\u200b\u202e", max_size=300) | st.text(max_size=300)


def row(**fields: Any) -> OutboxRow:
    plain: dict[str, Any] = {"thread_ts": "1.0", "trigger_ts": "1.5", "request_id": ID, "stream_name": ""}
    return any_row(**plain | fields)


@given(TEXT, st.booleans(), st.data())
def test_what_is_shown_only_grows(text: str, is_persona: bool, data: st.DataObject) -> None:
    before = text[: data.draw(st.integers(0, len(text)))]
    assert showable(text, is_persona=is_persona).startswith(showable(before, is_persona=is_persona))


@given(TEXT, st.booleans())
def test_what_is_shown_calls_nobody(text: str, is_persona: bool) -> None:
    shown = showable(text + "<!channel> <@U1> @here", is_persona=is_persona)
    assert "<!" not in shown
    assert "<@" not in shown
    assert "@here" not in shown
    assert "\u202e" not in shown
    assert len(shown) <= MOST_STREAMED


def test_a_personas_next_message_is_not_shown_in_its_first() -> None:
    assert showable("one\n\ntwo", is_persona=True) == "one"
    assert showable("one\n\ntwo", is_persona=False) == "one\n\ntwo"


@given(st.lists(st.text(max_size=5), min_size=1, max_size=20), st.data())
def test_pieces_twice_are_once_and_a_gap_ends_it(texts: list[str], data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(0, len(texts) - 1)))
    written = Written()
    for seq, text in enumerate(texts):
        if seq not in lost:
            for _ in range(data.draw(st.integers(1, 2))):
                written.add(TokenDelta(request_id=ID, seq=seq, text=text, done=seq == len(texts) - 1))
    assert written.text == "".join(texts[: min(lost, default=len(texts))])
    assert written.is_done == (len(texts) - 1 not in lost)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "notice"}, {"trigger_ts": None}, {"thread_ts": None}, {"replaces": ID}, {"response_url": "x"},
        {"note": "late"},
    ],
)  # fmt: skip
def test_only_an_answer_to_a_mention_is_streamed(fields: dict[str, Any]) -> None:
    assert may_stream(row())
    assert not may_stream(row(**fields))


def test_the_message_that_was_begun_is_found_again() -> None:
    mark = {"event_type": METADATA_TYPE, "event_payload": {"request_id": str(ID), "part": 0}}
    other = {"event_type": METADATA_TYPE, "event_payload": {"request_id": str(uuid4()), "part": 0}}
    thread: list[dict[str, Any]] = [
        {"ts": "1.4", "bot_id": "B1"},
        {"ts": "1.6", "bot_id": "B2"},
        {"ts": "1.7", "bot_id": "B1", "username": "Ada (AI)"},
        {"ts": "1.8", "bot_id": "B1", "metadata": other},
        {"ts": "1.9", "bot_id": "B1"},
    ]
    assert select_begun(thread, row(), BOT, []) == "1.9"
    assert select_begun(thread, row(), BOT, ["1.9"]) is None
    assert select_begun(thread, row(stream_name="Ada (AI)"), BOT, []) == "1.7"
    marked = [*thread[:4], {"ts": "2.0", "bot_id": "B1", "username": "Eve (AI)", "metadata": mark}]
    assert select_begun(marked, row(), BOT, []) == "2.0"
