from datetime import UTC, datetime

import pytest

from proto.errors import RequestInvalid, SourceNotAllowed
from proto.scrape import ScrapeRequest, Window
from services.scraper.core.source import SourceKind, TsWindow, plan_source, sharing_key

ALLOWED = "i-have-slacks-permission"


def request(source: str, **fields: object) -> ScrapeRequest:
    return ScrapeRequest.model_validate({"team_id": "T1", "source": source} | fields)


def test_the_api_needs_the_operators_exact_words() -> None:
    assert plan_source(request("api"), ALLOWED).kind is SourceKind.API
    for switch in ("", "true", "yes", ALLOWED.upper()):
        with pytest.raises(SourceNotAllowed):
            plan_source(request("api"), switch)


def test_an_export_is_named_by_its_content() -> None:
    plan = plan_source(request(f"export:workspaces/T1/exports/{'a' * 64}.zip"), "")
    assert (plan.kind, plan.sha256) == (SourceKind.EXPORT, "a" * 64)


@pytest.mark.parametrize(
    "source",
    [
        f"export:workspaces/T2/exports/{'a' * 64}.zip",
        f"export:workspaces/T1/exports/{'a' * 64}.csv",
        f"text:workspaces/T1/exports/{'a' * 64}.csv",
        "corpus:latest",
    ],
)
def test_what_can_not_be_done_is_refused_in_one_sentence(source: str) -> None:
    with pytest.raises(RequestInvalid):
        plan_source(request(source), ALLOWED)


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
