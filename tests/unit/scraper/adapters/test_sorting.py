"""Sorting: whatever the order, the copies and the memory, the same rows leave in the same order."""

import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.conversation import Message
from services.scraper.adapters.packing import BATCH, SHARD_MESSAGES, write_shards
from services.scraper.adapters.shards import read_lines
from services.scraper.adapters.sorting import Scratch, ScratchFull, Sorter, merge
from services.scraper.core.rows import LINE, channel_prefix, row_of
from services.scraper.core.timestamps import ts_key
from services.scraper.core.words import Gone, Line, Spoken

CHANNELS = {channel_prefix(0): "C0ENG", channel_prefix(1): "C0OPS"}
seconds = st.integers(1, 6).map(lambda number: f"{number}.000000")
found = st.one_of(
    st.builds(
        Spoken,
        st.builds(
            Line,
            st.just("C0ENG"),
            ts=seconds,
            text=st.sampled_from(["one", "two", "", "three"]),
            thread_ts=st.none() | seconds,
            user_id=st.sampled_from(["U0ADA", "U0BRAM"]),
            edited=st.booleans(),
        ),
        st.just("") | seconds.map(ts_key),
    ),
    st.builds(Gone, seconds, st.just("message_deleted")),
)
histories = st.lists(st.tuples(st.sampled_from(sorted(CHANNELS)), found), max_size=40)


def sort(rows: list[bytes], budget_bytes: int, batch: int = 7) -> tuple[list[bytes], Counter[str]]:
    dropped: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        sorter = Sorter(Path(folder), budget_bytes, 10**9, lambda: None)
        for at in range(0, len(rows), batch):
            sorter.extend(rows[at : at + batch])
        kept = [row for batch in sorter.drain(dropped) for row in batch]
        assert not list(Path(folder).iterdir())
    return kept, dropped


def rows_of(history: list[tuple[str, Spoken | Gone]]) -> list[bytes]:
    return [row_of(each, prefix) for prefix, each in history]


def as_told(history: list[tuple[str, Spoken | Gone]]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """The rules, once more and slowly: ``(channel, ts)`` → text and thread."""
    told: dict[tuple[str, str], tuple[str, str | None]] = {}
    places = {(prefix, each.ts if isinstance(each, Gone) else each.line.ts) for prefix, each in history}
    for place in places:
        copies = [
            each for prefix, each in history if place == (prefix, getattr(each, "ts", None) or each.line.ts)
        ]  # pyright: ignore
        if any(isinstance(each, Gone) for each in copies):
            continue
        spoken = sorted(
            (each for each in copies if isinstance(each, Spoken)), key=lambda each: row_of(each, "")
        )
        threads = [each.line.thread_ts for each in spoken if each.line.thread_ts]
        if spoken[-1].line.text:
            thread = spoken[-1].line.thread_ts or (threads[-1] if threads else None)
            told[place] = spoken[-1].line.text, thread
    return told


@settings(deadline=None)
@given(histories, st.randoms())
def test_the_rules_hold_in_memory_and_on_disk_in_any_order(
    history: list[tuple[str, Spoken | Gone]], dice: random.Random
) -> None:
    rows = rows_of(history)
    kept, dropped = sort(rows, 10**9)
    lines = [(row[:6].decode(), Message.model_validate_json(row[LINE:])) for row in kept]
    assert {(prefix, m.ts): (m.text, m.thread_ts) for prefix, m in lines} == as_told(history)
    order = [(prefix, ts_key(m.thread_ts or m.ts), ts_key(m.ts)) for prefix, m in lines]
    assert order == sorted(order)
    marks = sum(isinstance(each, Gone) for _, each in history)
    assert len(kept) + sum(dropped.values()) + marks == len(history)
    dice.shuffle(rows)
    for budget_bytes in (0, 500, 3_000):
        assert sort(rows, budget_bytes, dice.randint(1, 9)) == (kept, dropped)


def test_many_runs_that_overlap_are_merged_in_several_turns() -> None:
    dice = random.Random(3)
    lines = [
        Line("C0ENG", f"{number}.000000", "word", thread_ts=f"{number // 3 * 3}.000000")
        for number in range(9_000)
    ]
    rows = [row_of(Spoken(line), "000000") for line in lines]
    whole, _ = sort(rows, 10**9)
    dice.shuffle(rows)
    assert sort(rows, 15_000, batch=50)[0] == whole
    assert len(whole) == 9_000


@given(st.lists(st.lists(st.binary(min_size=1, max_size=2), min_size=1, max_size=6), max_size=5))
def test_streams_are_merged(streams: list[list[bytes]]) -> None:
    batches = [
        iter([sorted(each)[:2], sorted(each)[2:]] if len(each) > 2 else [sorted(each)]) for each in streams
    ]
    assert [row for rows in merge(batches) for row in rows] == sorted(row for each in streams for row in each)


def test_scratch_has_an_end(tmp_path: Path) -> None:
    dice = random.Random(1)
    rows = [dice.randbytes(1_000).replace(b"\n", b"") for _ in range(100)]
    with pytest.raises(ScratchFull):
        Scratch(tmp_path, 10_000).write([rows])
    scratch = Scratch(tmp_path, 150_000)
    for _ in range(5):  # what was read is given back
        assert [row for batch in scratch.read(scratch.write([rows])) for row in batch] == rows


def test_a_shards_bytes_do_not_depend_on_how_its_rows_came(tmp_path: Path) -> None:
    rows = [
        row[:6] + row[6:28] + row[6:28] + row[73:]
        for number in range(3 * BATCH + 7)
        for row in [row_of(Spoken(Line("C0ENG", f"{number}.5", f"words {number * 7919}")), "000000")]
    ]
    rows += [b"000001" + row[6:] for row in rows[:10]]
    channels = {prefix.encode(): channel_id for prefix, channel_id in CHANNELS.items()}
    made = []
    for size in (1, 100, BATCH, 10**6):
        batches = [rows[at : at + size] for at in range(0, len(rows), size)]
        made.append(list(write_shards(batches, channels, tmp_path, lambda _: None)))
    assert made[0] == made[1] == made[2] == made[3]
    assert [(s.channel_id, s.message_count) for s in made[0]] == [("C0ENG", 3 * BATCH + 7), ("C0OPS", 10)]
    assert (made[0][0].oldest_ts, made[0][0].latest_ts) == ("0.500000", f"{3 * BATCH + 6}.500000")
    read = [m.text for m in read_lines(tmp_path / "C0ENG-0000.jsonl.zst", Message)]
    assert read == [f"words {number * 7919}" for number in range(3 * BATCH + 7)]
    assert SHARD_MESSAGES % BATCH == 0
