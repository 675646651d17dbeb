from datetime import UTC, datetime, timedelta

import pytest

from services.scraper.core.leftovers import Ages, Named, is_leftover

NOW = datetime(2026, 1, 20, tzinfo=UTC)
AGES = Ages(leftover=timedelta(hours=24), upload=timedelta(days=8))
HOME = "workspaces/T1"
NAMED = Named(
    prefixes=frozenset((f"{HOME}/corpora/c1/2", f"{HOME}/personas/U1/datasets/d1/1")),
    keys=frozenset((f"{HOME}/corpora/c9/1/api-state.json",)),
    busy=frozenset(("c2", "d2")),
    uploads_in_use=frozenset((f"{HOME}/exports/used.zip",)),
    uploads_read={f"{HOME}/exports/read.zip": NOW - timedelta(hours=2)},
)


def goes(key: str, days: float = 3) -> bool:
    return is_leftover(f"{HOME}/{key}", NOW - timedelta(days=days), NAMED, AGES, NOW)


@pytest.mark.parametrize(
    "key",
    [
        "corpora/c1/2/manifest.json",
        "corpora/c1/2/shards/C1-0000.jsonl.zst",
        "corpora/c2/1/shards/C1-0000.jsonl.zst",
        "corpora/c2/1/pages/C1-000000.jsonl.zst",
        "corpora/c9/1/api-state.json",
        "personas/U1/datasets/d1/1/train.jsonl.zst",
        "personas/U1/datasets/d2/1/train.jsonl.zst",
        "personas/U1/runs/r1/1/adapter/manifest.json",
        "exports/used.zip",
        "exports/waiting.zip",
        "something/else",
    ],
)
def test_what_a_row_names_or_a_live_scrape_may_need_stays(key: str) -> None:
    assert not goes(key)


@pytest.mark.parametrize(
    "key",
    [
        "corpora/c1/1/shards/C1-0000.jsonl.zst",
        "corpora/c1/2/pages/C1-000000.jsonl.zst",
        "corpora/c3/1/manifest.json",
        "corpora/c9/1/pages/C1-000000.jsonl.zst",
        "personas/U1/datasets/d1/2/train.jsonl.zst",
        "personas/U1/datasets/d3/1/manifest.json",
        "exports/read.zip",
    ],
)
def test_what_nobody_names_goes(key: str) -> None:
    assert goes(key)
    assert key.startswith("exports/") or not goes(key, days=0.9)


def test_an_upload_waits_longer_than_a_request_may() -> None:
    assert not goes("exports/waiting.zip", days=7.9)
    assert goes("exports/waiting.zip", days=8.1)
    assert not goes("exports/used.zip", days=100)
    assert not goes("exports/read.zip", days=0.01)  # uploaded again since
    assert not is_leftover("models/x/manifest.json", NOW - timedelta(days=99), NAMED, AGES, NOW)
