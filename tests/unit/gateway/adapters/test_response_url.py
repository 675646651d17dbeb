"""Where an answer may be sent: a response_url comes in with a request."""

from typing import Any, cast

import pytest

from services.gateway.adapters.response_url import ResponseUrls

SESSION = cast("Any", None)


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("https://hooks.slack.com/commands/T1/1/x", True),
        ("http://hooks.slack.com/commands/T1/1/x", False),
        ("https://hooks.slack.com:8443/x", False),
        ("https://hooks.slack.com@evil.example/x", False),
        ("https://user:pass@hooks.slack.com/x", False),
        ("https://hooks.slack.com.evil.example/x", False),
        ("http://127.0.0.1:8090/response/x", False),
        ("http://[::1/x", False),
        ("https://hooks.slack.com:99999/x", False),
        ("", False),
    ],
)
def test_only_slacks_own_host(url: str, ok: bool) -> None:
    assert ResponseUrls(SESSION, "https://slack.com/api/").is_allowed(url) is ok


def test_the_playground_where_it_is_configured() -> None:
    urls = ResponseUrls(SESSION, "http://127.0.0.1:8090/api/")
    assert urls.is_allowed("http://127.0.0.1:8090/response/x")
    assert not urls.is_allowed("http://127.0.0.1:8091/response/x")
    assert not urls.is_allowed("http://169.254.169.254/response/x")
