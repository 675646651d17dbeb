"""Which messages are about a person."""

import json
from typing import Any

import pytest
from nats.js.api import RawStreamMsg

from doppel.bus.scan import is_about

TEAM, ADA = "T0DOPPEL", "U0ADA"


def message(body: Any, subject: str = "generate.result") -> RawStreamMsg:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawStreamMsg(subject=subject, seq=1, data=data)


@pytest.mark.parametrize(
    "body",
    [
        {"team_id": TEAM, "user_id": ADA, "text": "hi"},
        {"payload": {"team_id": TEAM, "event": {"user": ADA}}},
        {"payload": {"team": {"id": TEAM}, "actions": [], "user": {"id": ADA}}},
        b"{'team_id': 'T0DOPPEL', 'user_id': 'U0ADA'",  # a dead letter that is no JSON
    ],
)
def test_what_is_theirs_is_found_however_deep(body: Any) -> None:
    assert is_about(message(body), TEAM, ADA)


@pytest.mark.parametrize(
    "body",
    [
        {"team_id": TEAM, "user_id": "U0BRAM", "text": f"ask <@{ADA}>"},  # only mentioned
        {"team_id": "T0OTHER", "user_id": ADA},
        {"team_id": TEAM, "user_id": "U0ADAM"},
        b"U0ADA of nowhere",
        b"",
    ],
)
def test_what_is_somebody_else_s_is_not(body: Any) -> None:
    assert not is_about(message(body), TEAM, ADA)


def test_the_ledger_stays_also_as_a_dead_letter() -> None:
    body = {"team_id": TEAM, "user_id": ADA}
    assert not is_about(message(body, "persona.purged"), TEAM, ADA)
    assert not is_about(message(body, "dead.persona.request"), TEAM, ADA)
    assert is_about(message(body, "dead.train.request"), TEAM, ADA)
