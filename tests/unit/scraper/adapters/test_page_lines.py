from pathlib import Path
from typing import Any

import zstandard

from services.scraper.adapters.page_lines import lines_of, outcomes_of
from services.scraper.core.normalise import Deleted, Dropped, Said
from services.scraper.core.source import TsWindow


def said(ts: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "user": "U0ADA",
        "text": "hello <@U0BRAM>",
        "ts": ts,
        "client_msg_id": "x",
    } | fields


def stored(tmp_path: Path, lines: list[bytes]) -> Path:
    path = tmp_path / "page.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"\n".join(lines) + b"\n"))
    return path


def test_what_a_page_says_comes_back_as_it_went_in(tmp_path: Path) -> None:
    raws = [
        said("1700000003.000100", edited={"user": "U0ADA", "ts": "1700000009.000000"}),
        said("1700000002.000100", subtype="channel_join"),
        said("1700000001.000100", subtype="tombstone", user="USLACKBOT", hidden=True),
        said("1600000000.000100"),
    ]
    window = TsWindow(oldest="1650000000.000000")

    lines, count = lines_of(raws, "C0ENG", {"U0BRAM": "Bram"}, window)
    outcomes = list(outcomes_of([stored(tmp_path, lines)], [], lambda _: True))

    assert count == 1
    assert all(channel_id == "C0ENG" for channel_id, _ in outcomes)
    first = outcomes[0][1]
    assert isinstance(first, Said)
    assert first.message.text == "hello @Bram"
    assert first.edited_ts
    gone = [each.ts for _, each in outcomes if isinstance(each, Deleted)]
    assert gone == ["1700000001.000100"]
    dropped = sorted(each.reason for _, each in outcomes if isinstance(each, Dropped))
    assert "outside_window" in dropped
    assert len(dropped) >= 2


def test_an_earlier_corpus_gives_what_stays_of_it(tmp_path: Path) -> None:
    earlier = tmp_path / "shard.jsonl.zst"
    lines, _ = lines_of([said("1700000001.000100"), said("1700000002.000100")], "C0ENG", {}, TsWindow())
    messages = [
        outcome.message
        for _, outcome in outcomes_of([stored(tmp_path, lines)], [], lambda _: True)
        if isinstance(outcome, Said)
    ]
    body = b"\n".join(message.model_dump_json(exclude_none=True).encode() for message in messages) + b"\n"
    earlier.write_bytes(zstandard.ZstdCompressor().compress(body))

    kept = list(outcomes_of([], [earlier], lambda message: message.ts == "1700000002.000100"))

    assert [outcome.message.ts for _, outcome in kept if isinstance(outcome, Said)] == ["1700000002.000100"]
