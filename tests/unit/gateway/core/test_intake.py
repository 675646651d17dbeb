"""What Slack posts, and what it never would."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.slack import EventCallback, Interaction, SlashCommand
from services.gateway.core.intake import (
    NotUnderstood,
    command_of,
    event_of,
    interaction_of,
    parse_form,
    parse_json,
)

NOW = datetime(2026, 5, 28, tzinfo=UTC)
COMMAND = {
    "team_id": "T1",
    "api_app_id": "A1",
    "channel_id": "C1",
    "user_id": "U1",
    "command": "/doppel",
    "text": "train <@U2|ada>",
    "trigger_id": "1.2.ab",
    "token": "deprecated",
}
PRESSED: dict[str, Any] = {
    "type": "block_actions",
    "api_app_id": "A1",
    "team": {"id": "T1", "domain": "x"},
    "user": {"id": "U1", "team_id": "T1"},
    "trigger_id": "1.2.cd",
    "container": {"channel_id": "D1", "message_ts": "1.000001"},
    "actions": [{"action_id": "consent_allow", "value": "x", "type": "button"}],
}


def test_a_command() -> None:
    event = command_of(COMMAND, NOW)
    assert isinstance(event.payload, SlashCommand)
    assert (event.key, event.payload.text) == ("1.2.ab", "train <@U2|ada>")
    assert "deprecated" not in event.model_dump_json()


def test_a_button() -> None:
    event = interaction_of(PRESSED, NOW)
    assert isinstance(event.payload, Interaction)
    assert (event.key, event.payload.team_id) == ("1.2.cd", "T1")


def test_an_event_keeps_only_what_is_read() -> None:
    body: dict[str, Any] = {
        "kind": "command",
        "team_id": "T1",
        "api_app_id": "A1",
        "event_id": "Ev1",
        "token": "secret",
        "event": {"type": "app_mention", "channel": "C1", "user": "U1", "ts": "1.000001", "blocks": []},
    }
    event = event_of(body, NOW)
    assert isinstance(event.payload, EventCallback)
    assert event.key == "Ev1"
    assert "secret" not in event.model_dump_json()


def test_the_first_field_of_a_name_counts() -> None:
    assert parse_form(b"a=1&a=2&b=&c=%C3%A9") == {"a": "1", "b": "", "c": "é"}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{oops", b"[" * 9999, b"\xff", b"1" * 5000, b'"x"', b"null"])
def test_what_is_no_object_is_not_understood(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        parse_json(raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"team_id": "../../x"},
        {"event_id": "a b"},
        {"api_app_id": {}},
        {"event": None},
        {"event": {"type": "app_mention", "channel": "../x", "ts": "1.0"}},
        {"event": {"type": "message", "channel": "C1", "ts": "x"}},
    ],
)
def test_hostile_fields_are_not_understood(wrong: dict[str, Any]) -> None:
    body: dict[str, Any] = {"team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event": {"type": "x"}}
    event_of(body, NOW)
    with pytest.raises(NotUnderstood):
        event_of(body | wrong, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "x"]), inner),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(["team_id", "api_app_id", "event_id", "event", "authorizations"]), JSON)
)
def test_any_object_is_an_event_or_not_understood(body: dict[str, Any]) -> None:
    for read in (lambda: event_of(body, NOW), lambda: interaction_of(body, NOW)):
        with contextlib.suppress(NotUnderstood):
            read()


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_form_or_not_understood(raw: bytes) -> None:
    try:
        form = parse_form(raw)
    except NotUnderstood:
        return
    with pytest.raises(NotUnderstood):
        command_of(form, NOW)
