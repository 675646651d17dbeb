"""Which failures may be repeated: decided by status first, since a body may be anything."""

from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown, kind_of


@dataclass
class Answer:
    status_code: int = 200
    data: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def failed(**answer: Any) -> Exception:
    return SlackApiError("said no", Answer(**answer))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failed(data={"ok": False, "error": "channel_not_found"}), SlackRefused),
        (failed(data={"ok": False, "error": "ratelimited"}), SlackAway),
        (failed(data={"ok": False, "error": "fatal_error"}), SlackUnknown),
        (failed(status_code=503, data="upstream"), SlackUnknown),
        (failed(data="<html>"), SlackUnknown),
        (TimeoutError(), SlackUnknown),
        (ConnectionResetError(), SlackUnknown),
        (aiohttp.ServerDisconnectedError(), SlackUnknown),
    ],
)
def test_each_failure_has_its_kind(error: Exception, kind: type[Exception]) -> None:
    assert type(kind_of(error)) is kind


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("abc", 30.0), (None, 30.0), ("-1", 30.0), ("²", 30.0)]
)
def test_retry_after_is_obeyed_or_assumed(header: str | None, seconds: float) -> None:
    kind = kind_of(failed(status_code=429, headers={} if header is None else {"Retry-After": header}))
    assert isinstance(kind, SlackAway)
    assert kind.delay_s == seconds


def test_a_bug_of_ours_is_none_of_slack_s() -> None:
    assert kind_of(KeyError("x")) is None


def test_a_dead_token_is_known() -> None:
    assert SlackRefused("token_revoked").token_is_dead
    assert not SlackRefused("is_archived").token_is_dead
