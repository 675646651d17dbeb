from datetime import UTC, datetime

import pytest

from doppel.settings import SourceSettings
from proto.errors import RequestInvalid, SourceNotAllowed
from proto.scrape import ScrapeRequest, Window
from services.scraper.core.source import SourceKind, TsWindow, plan_source, sharing_key


def request(source: str, **fields: object) -> ScrapeRequest:
    return ScrapeRequest.model_validate({"team_id": "T1", "source": source} | fields)


def test_the_api_needs_the_operators_word() -> None:
    assert plan_source(request("api"), api_allowed=True).kind is SourceKind.API
    with pytest.raises(SourceNotAllowed):
        plan_source(request("api"), api_allowed=False)


def test_only_the_very_words_are_a_yes() -> None:
    words = "i-have-slacks-permission"
    assert SourceSettings(train_on_slack_api=words).may_train_on_slack_api
    for switch in ("", "true", "yes", words.upper()):
        assert not SourceSettings(train_on_slack_api=switch).may_train_on_slack_api


@pytest.mark.parametrize(
    ("scheme", "suffix", "kind"),
    [
        ("export", "zip", SourceKind.EXPORT),
        ("text", "csv", SourceKind.TEXT),
        ("text", "jsonl", SourceKind.TEXT),
    ],
)
def test_an_upload_is_named_by_its_content(scheme: str, suffix: str, kind: SourceKind) -> None:
    plan = plan_source(request(f"{scheme}:workspaces/T1/exports/{'a' * 64}.{suffix}"), api_allowed=False)
    assert (plan.kind, plan.sha256, plan.is_upload) == (kind, "a" * 64, True)


@pytest.mark.parametrize(
    "source",
    [
        f"export:workspaces/T2/exports/{'a' * 64}.zip",
        f"export:workspaces/T1/exports/{'a' * 64}.csv",
        f"text:workspaces/T1/exports/{'a' * 64}.zip",
        f"text:workspaces/T2/exports/{'a' * 64}.csv",
        "corpus:latest",
    ],
)
def test_what_can_not_be_done_is_refused_in_one_sentence(source: str) -> None:
    with pytest.raises(RequestInvalid):
        plan_source(request(source), api_allowed=True)


def test_a_window_is_open_at_its_beginning_and_closed_at_its_end() -> None:
    window = TsWindow.of(
        Window(oldest=datetime(2024, 1, 1, tzinfo=UTC), latest=datetime(2024, 1, 2, tzinfo=UTC))
    )
    assert not window.holds("1704067200.000000")
    assert window.holds("1704067200.000001")
    assert window.holds("1704153600.000000")
    assert not window.holds("1704153600.000001")


def test_other_windows_are_other_readings() -> None:
    whole = request("api")
    part = request("api", window={"oldest": "2024-01-01T00:00:00Z"})
    assert sharing_key(whole) == "api"
    assert sharing_key(part) not in (
        "api",
        sharing_key(request("api", window={"oldest": "2024-01-02T00:00:00Z"})),
    )
