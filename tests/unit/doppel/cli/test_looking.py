"""Where the command looks for a person."""

import zstandard

from doppel.cli.looking import Seen, condition_of, count_said


def test_a_table_is_asked_by_what_it_can_tell() -> None:
    condition = condition_of("a.b", [("team_id", "text"), ("user_id", "text"), ("prefix", "text")])
    assert condition is not None
    assert condition.startswith("team_id = $1 and (")
    assert "user_id = $2" in condition
    assert "prefix like '%personas/' || $2 || '/%'" in condition
    assert condition_of("a.b", [("run_id", "uuid"), ("step", "integer")]) is None
    arrays = condition_of("scraper.datasets", [("people", "ARRAY")])
    assert arrays == "($2 = any(people::text[]))"
    assert condition_of("scraper.corpora", [("without", "ARRAY")]) is None  # a trace of the purge


def test_authors_are_counted_and_mentions_are_not() -> None:
    lines = (
        b'{"user_id":"U0ADA","text":"hi"}\n{"user_id":"U0BRAM","text":"@U0ADA <@U0ADA>"}\n{"user": "U0ADA"}\n'
    )
    assert count_said("x/shards/C-0.jsonl", lines, "U0ADA") == 2
    assert count_said("x/shards/C-0.jsonl.zst", zstandard.compress(lines), "U0ADA") == 2
    assert count_said("x/shards/C-0.jsonl", lines, "U0AD") == 0


def test_what_is_kept_on_purpose_is_not_left() -> None:
    assert Seen("S3", "x", 1).is_left
    assert not Seen("S3", "x", 0).is_left
    assert not Seen("PostgreSQL", "gateway.consents", 3, "the ledger of consent").is_left
