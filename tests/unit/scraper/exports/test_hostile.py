"""Archives that mean harm, or were harmed: one clear sentence each, whatever they claim."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from proto.errors import ExportInvalid
from services.scraper.core.archive import Limits
from tests.support.exports.handmade import (
    Entry,
    as_entries,
    base,
    said,
    write_entries,
    write_quoted,
    write_same_bytes,
)
from tests.support.exports.people import TEAM
from tests.unit.scraper.exports.reading import read
from tests.unit.scraper.exports.refusing import DAY, refusal, zipped


def with_day(tmp_path: Path, **fields: Any) -> Path:
    """An archive whose day file lies about itself."""
    fields = {"name": DAY.encode(), "data": json.dumps([said(n) for n in range(90)]).encode()} | fields
    files = base()
    del files[DAY]
    return write_entries(tmp_path / "export.zip", [*as_entries(files), Entry(**fields)])


def test_an_honest_one_by_hand_is_read(tmp_path: Path) -> None:
    assert len(read(with_day(tmp_path), TEAM).messages) == 90
    assert len(read(with_day(tmp_path, method=0), TEAM).messages) == 90


# --- promises that are not kept


@pytest.mark.parametrize(
    "lies",
    [
        {"crc": 1},
        {"size": 10},
        {"size": 0},
        {"size": 100_000},
        {"size": 2**32 - 2},
        {"packed_size": 10},
        {"packed_size": 0},
        {"packed_size": 2**31},
        {"offset": 0},
        {"offset": 5},
        {"offset": 2**31},
        {"method": 12, "packed": b"BZh9"},
        {"method": 99},
        {"method": 0, "size": 3, "packed_size": 3},
        {"packed": b"\xff\xff\xff\xff not deflated"},
        {"packed": b""},
        {"flags": 0x801},
        {"flags": 0x841},
        {"attributes": 0o120777 << 16},
    ],
    ids=str,
)
def test_an_entry_that_lies_is_refused(tmp_path: Path, lies: dict[str, Any]) -> None:
    refusal(with_day(tmp_path, **lies))


def test_what_is_encrypted_linked_or_nested_is_named(tmp_path: Path) -> None:
    assert "encrypted" in refusal(with_day(tmp_path, flags=0x801))
    assert "link" in refusal(with_day(tmp_path, attributes=0o120777 << 16, data=b"/etc/passwd"))
    assert "archive" in refusal(zipped(tmp_path, base() | {"eng/more.zip": b"PK"}))
    assert "archive" in refusal(zipped(tmp_path, base() | {"eng/2024-01-02.json.GZ": b"x"}))


@pytest.mark.parametrize(
    "name",
    [
        "../eng/2024-01-02.json",
        "../../../../etc/cron.d/x",
        "eng/../../2024-01-02.json",
        "/etc/2024-01-02.json",
        "C:\\eng\\2024-01-02.json",
        "..\\eng\\2024-01-02.json",
        "eng/2024-01-02.json\x00.png",
        "eng\x00/2024-01-02.json",
    ],
)
def test_a_name_that_points_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    refusal(zipped(tmp_path, base() | {name: [said(2)]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip"]


def test_the_lists_stand_once(tmp_path: Path) -> None:
    for name in ("channels.json", "users.json", "groups.json"):
        twice = [Entry(name.encode(), b"[]"), Entry(name.encode(), b"[]")]
        assert f"{name} twice" in refusal(
            write_entries(tmp_path / "export.zip", [*as_entries(base()), *twice])
        )


# --- damage


def test_a_truncated_archive_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    rng = random.Random(1)
    days = {
        f"eng/2024-01-0{day}.json": [said(day * 100 + n, rng.randbytes(9).hex()) for n in range(9)]
        for day in range(1, 9)
    }
    whole = zipped(tmp_path, base() | days).read_bytes()
    cuts = {*range(0, len(whole), 37), *range(len(whole) - 60, len(whole))}
    for cut in sorted(cuts):
        path = tmp_path / "cut.zip"
        path.write_bytes(whole[:cut])
        assert refusal(path)


def test_flipped_bytes_are_read_or_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path, base()).read_bytes()
    rng = random.Random(2)
    path = tmp_path / "flipped.zip"
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
        path.write_bytes(data)
        try:
            read(path, TEAM)
        except ExportInvalid:
            refused += 1
    assert refused > 200


NO_ARCHIVES = [b"", b"PK", b"PK\x05\x06", b"PK\x05\x06" + b"\x00" * 18, b"\x00" * 5_000, b"[]"]


@pytest.mark.parametrize("data", NO_ARCHIVES, ids=lambda data: repr(data[:9]))
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "export.zip").write_bytes(data)
    refusal(tmp_path / "export.zip")


@pytest.mark.parametrize("count", [0, 1, 2, 4, 500, 0xFFFF, 200_001, 2**40])
def test_a_count_that_lies_is_refused_or_does_not_matter(tmp_path: Path, count: int) -> None:
    path = write_entries(tmp_path / "export.zip", as_entries(base()), count=count)
    try:
        assert len(read(path, TEAM).messages) == 1
    except ExportInvalid:
        refusal(path)


# --- bombs


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    data = json.dumps([said(1, " " * 100_000)]).encode()
    refusal(write_same_bytes(tmp_path / "same.zip", 2, data))
    refusal(write_same_bytes(tmp_path / "same-many.zip", 5_000, data))
    refusal(write_quoted(tmp_path / "quoted.zip", 200, data))


def test_what_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    assert "far more" in refusal(zipped(tmp_path, base() | {DAY: b"[" + b" " * 60_000_000 + b"]"}))
    assert "far more" in refusal(zipped(tmp_path, base() | {"users.json": b"[" + b" " * 60_000_000 + b"]"}))
    assert "larger" in refusal(with_day(tmp_path, size=Limits().entry_bytes + 1))
    many = [Entry(f"eng/2024-01-01-{n}.txt".encode(), b"x", size=2**29) for n in range(101)]
    assert "more than" in refusal(write_entries(tmp_path / "export.zip", [*as_entries(base()), *many]))
