"""Signatures, switches, journal, settings, and what the bus panel may show."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from playground.buswatch import glimpse
from playground.faults import Fault, Faults
from playground.journal import Journal, redacted
from playground.page import policy
from playground.settings import Settings
from playground.signing import signature_of, signed_headers

# The example in Slack's own documentation.
VECTOR_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
VECTOR_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
VECTOR = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def test_signatures_are_slacks() -> None:
    assert signature_of(VECTOR_SECRET, 1531420618, VECTOR_BODY) == VECTOR


def test_wrong_signatures_are_wrong_in_the_way_asked_for() -> None:
    good = signed_headers("s", b"x", now=5000)
    assert signed_headers("s", b"x", now=5000, kind="missing") == {}
    assert signed_headers("s", b"x", now=5000, kind="bad")["X-Slack-Signature"] != good["X-Slack-Signature"]
    assert signed_headers("s", b"x", now=5000, kind="old")["X-Slack-Request-Timestamp"] == "1400"


def test_faults_are_met_in_order_after_what_they_skip() -> None:
    faults = Faults()
    faults.add(Fault(on="chat.*", kind="ratelimited", skip=1, count=2))
    faults.add(Fault(on="*", kind="html", count=None))
    faults.add(Fault(on="events", kind="drop"))
    taken = [faults.take("chat.postMessage") for _ in range(4)]
    assert [fault.kind for fault in taken if fault] == ["html", "ratelimited", "ratelimited", "html"]
    first, second = faults.take("events"), faults.take("events")
    assert first is not None
    assert first.kind == "drop"
    assert second is None
    assert faults.take("response_url") is None
    faults.clear()
    assert faults.listing() == []


def test_a_fault_must_fit_its_place() -> None:
    with pytest.raises(ValueError, match="does not apply"):
        Faults().add(Fault(on="events", kind="html"))
    with pytest.raises(ValidationError):
        Fault(on="chat.update", kind="explode")  # type: ignore[arg-type]


def test_the_journal_keeps_order_and_no_token() -> None:
    journal = Journal()
    for name in ("auth.test", "chat.update"):
        journal.add("in", name, status=200, seconds=0.1, request=redacted({"token": "xoxb-1"}), response={})
    rows = [json.loads(line) for line in journal.lines(direction="in", name=None, since=1).splitlines()]
    assert [row["name"] for row in rows] == ["chat.update"]
    assert rows[0]["request"]["token"] == "***"


def test_settings_take_slacks_names_lists_and_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPPEL_SLACK_BOT_TOKEN", "xoxb-from-slack")
    monkeypatch.setenv("DOPPEL_PLAYGROUND_GATEWAY_URLS", "http://a:1/, http://b:2")
    monkeypatch.setenv("DOPPEL_PLAYGROUND_SUBSCRIBE", '["app_mention"]')
    monkeypatch.setenv("DOPPEL_PLAYGROUND_NOW", "2026-05-28T20:26:40Z")
    settings = Settings()
    assert settings.bot_token.get_secret_value() == "xoxb-from-slack"
    assert settings.gateway_urls == ["http://a:1", "http://b:2"]
    assert settings.subscribe == ["app_mention"]
    assert settings.now == 1_780_000_000
    assert "xoxb" not in repr(settings)


def test_the_panel_shows_ids_and_progress_but_never_words() -> None:
    body = {
        "request_id": "r-1",
        "text": "secret words",
        "stage": "training",
        "step": 3,
        "total": 9,
        "user_id": "U0ADA",
    }
    shown = glimpse(
        "train.progress", json.dumps(body | {"error": {"code": "x", "message": "secret"}}).encode()
    )
    assert shown["request_id"] == "r-1"
    assert (shown["step"], shown["total"], shown["stage"], shown["code"]) == (3, 9, "training", "x")
    assert "secret" not in json.dumps(shown)


@given(st.binary(max_size=200))
def test_the_panel_survives_any_bytes(body: bytes) -> None:
    assert glimpse("dead.train.request", body)["bytes"] == len(body)


def test_deep_nesting_does_not_break_the_panel() -> None:
    assert glimpse("slack.event", b"[" * 5000) == {"subject": "slack.event", "bytes": 5000}


def test_the_page_lets_pictures_come_from_gateways_only() -> None:
    assert "img-src 'self' data: " in policy(["http://gateway:8080/x"])
    assert " http://gateway:8080;" in policy(["http://gateway:8080/x"])
    assert "script-src 'self';" in policy([])
