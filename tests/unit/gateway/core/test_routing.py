"""Whom to answer, and whom never."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.slack import EventCallback
from services.gateway.core.routing import Answer, Bot, Ignore, instant_of, route

BOT = Bot("T1", "A1", "UBOT", "B1")
TS = "1780000000.000100"
NOW = instant_of(TS) + timedelta(seconds=3)


def envelope(outer: dict[str, Any] | None = None, **event: Any) -> EventCallback:
    said = {"type": "app_mention", "channel": "C1", "user": "U1", "text": "<@UBOT> hello", "ts": TS} | event
    base = {"team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event": said}
    return EventCallback.model_validate(base | (outer or {}))


def test_a_mention_is_answered_in_a_thread_of_its_own() -> None:
    decision = route(envelope(), BOT, NOW)
    assert isinstance(decision, Answer)
    assert (decision.thread_ts, decision.note, decision.is_foreign) == (TS, None, False)


def test_a_mention_inside_a_thread_is_answered_there() -> None:
    decision = route(envelope(thread_ts="1779999999.000001"), BOT, NOW)
    assert isinstance(decision, Answer)
    assert decision.thread_ts == "1779999999.000001"


def test_a_direct_message_needs_no_mention() -> None:
    assert isinstance(
        route(envelope(type="message", channel="D1", channel_type="im", text="hello"), BOT, NOW), Answer
    )


@pytest.mark.parametrize(
    ("why", "event"),
    [
        ("not_to_us", {"type": "message", "channel_type": "channel"}),
        ("self_or_slackbot", {"user": "UBOT"}),
        ("self_or_slackbot", {"user": "USLACKBOT"}),
        ("no_user", {"user": None}),
        ("app", {"bot_id": "B9"}),
        ("app", {"app_id": "A1"}),
        ("app", {"bot_profile": {"id": "B9"}}),
        ("edited_or_hidden", {"edited": {"user": "U1", "ts": TS}}),
        ("edited_or_hidden", {"hidden": True}),
        ("subtype", {"subtype": "channel_join"}),
        ("other_event", {"type": "message", "channel_type": "im", "subtype": "message_changed"}),
        ("other_event", {"type": "reaction_added", "reaction": "hand"}),
    ],
)
def test_nobody_else_is_answered(why: str, event: dict[str, Any]) -> None:
    assert route(envelope(**event), BOT, NOW) == Ignore(why)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(minutes=9), None),
        (timedelta(minutes=14), "14 minutes"),
        (timedelta(hours=5), "5 hours"),
    ],
)
def test_a_late_answer_says_how_late_it_is(age: timedelta, words: str | None) -> None:
    decision = route(envelope(), BOT, instant_of(TS) + age)
    assert isinstance(decision, Answer)
    assert (decision.note is None) if words is None else (words in (decision.note or ""))


def test_after_a_day_nobody_waits() -> None:
    assert route(envelope(), BOT, instant_of(TS) + timedelta(hours=25)) == Ignore("too_old")


def test_people_of_other_workspaces_are_foreign() -> None:
    decision = route(envelope({"is_ext_shared_channel": True}, user_team="T9"), BOT, NOW)
    assert isinstance(decision, Answer)
    assert decision.is_foreign


@given(
    event=st.fixed_dictionaries(
        {
            "type": st.sampled_from(["app_mention", "message"]),
            "channel_type": st.sampled_from([None, "im", "channel", "mpim"]),
            "user": st.sampled_from([None, "U1", "UBOT", "USLACKBOT"]),
            "bot_id": st.sampled_from([None, "B1", "B9"]),
            "app_id": st.sampled_from([None, "A1"]),
            "subtype": st.sampled_from([None, "file_share", "bot_message", "me_message"]),
            "hidden": st.booleans(),
        }
    )
)
def test_whoever_is_answered_is_a_person_and_not_us(event: dict[str, Any]) -> None:
    decision = route(envelope(**event), BOT, NOW)
    if isinstance(decision, Answer):
        said = decision.utterance
        assert said.user == "U1"
        assert not (said.bot_id)
        assert not (said.app_id)
        assert not (said.hidden)
        assert said.type == "app_mention" or said.channel_type == "im"


def test_an_instant_is_aware() -> None:
    assert instant_of(TS) == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
