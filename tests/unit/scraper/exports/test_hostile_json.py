"""JSON that means harm, or was harmed, in an archive that is whole: one clear sentence each."""

import json
from pathlib import Path
from typing import Any

import pytest

from proto.errors import ExportInvalid
from tests.support.exports.handmade import (
    base,
    said,
)
from tests.support.exports.people import TEAM
from tests.unit.scraper.exports.reading import read
from tests.unit.scraper.exports.refusing import DAY, refusal, zipped


@pytest.mark.parametrize(
    "day",
    [
        b"",
        b" ",
        b"{}",
        b"null",
        b'"[]"',
        b"[",
        b"[1, 2",
        b"[1 2]",
        b"[1,]",
        b"[,1]",
        b"[1]]",
        b"[1][2]",
        b"[] []",
        b"[NaN]",
        b"[Infinity]",
        b"[-]",
        b"[01]",
        b"['x']",
        b'[{"ts": "1.0", "text": "x"}',
        b'[{"ts" "1.0"}]',
        b'["\x01"]',
        b'["\\x"]',
        b'["\\ud8"]',
        b'["tab\tinside"]',
        b"\x00[]",
        b"[]\x00",
        b"[" * 1_000_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'[{"a":' * 50_000 + b"1" + b"}]" * 50_000,
        '["größer"]'.encode("latin-1"),
        '["größer"]'.encode("utf-16-le"),
        '["größer"]'.encode("utf-32"),
        b'["\xed\xa0\x80"]',
        b'["\xc0\xaf"]',
        b"\xff\xfe[\x00]",
    ],
    ids=lambda day: repr(day[:24]),
)
def test_a_day_that_is_no_list_is_refused(tmp_path: Path, day: bytes) -> None:
    refusal(zipped(tmp_path, base() | {DAY: day}))


def test_json_broken_in_the_middle_is_refused_and_what_was_read_is_not_kept(tmp_path: Path) -> None:
    half = json.dumps([said(n) for n in range(20_000)]).encode()
    broken = half[: len(half) // 2] + b'"' + half[len(half) // 2 :]
    refusal(zipped(tmp_path, base() | {"eng/2024-01-02.json": broken}))


@pytest.mark.parametrize(
    "number", ["1" * 5_000, "1" * 500_000, "1e999999999", "1E400", "-1", "0." + "0" * 9_000 + "1"]
)
def test_numbers_without_end_are_read_or_refused(tmp_path: Path, number: str) -> None:
    day = (
        f'[{json.dumps(said(1))}, {{"type": "message", "ts": {number}, "thread_ts": {number}, "text": "x"}}]'
    )
    path = zipped(tmp_path, base() | {DAY: day.encode()})
    try:
        assert len(read(path, TEAM).messages) == 1
    except ExportInvalid:
        refusal(path)


SHAPES: list[Any] = [
    {},
    {"U0ADA": {"name": "ada"}},
    [],
    [1, 2, 3],
    ["U0ADA"],
    [[{"id": "U0ADA", "name": "eng"}]],
    None,
    "users",
    7,
    [None],
    [{}],
    [{"id": None, "name": None}],
    [{"id": ["U0ADA"], "name": {"eng": 1}}],
    [{"id": "lower", "name": "eng"}],
    b"",
    b"\xff\xfe",
    b"not json",
    b"[" * 200_000,
    b"[{" + b'"a":{' * 5_000 + b"}" * 5_000 + b"}]",
    b"[" + b"5," * 100_000 + b"5]",
]


@pytest.mark.parametrize("name", ["users.json", "channels.json"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape)[:30])
def test_lists_of_another_shape_are_refused(tmp_path: Path, name: str, shape: Any) -> None:
    assert refusal(zipped(tmp_path, base() | {name: shape})).startswith(
        ("it", "users.json", "channels.json", "its")
    )


def test_without_its_lists_it_is_no_export(tmp_path: Path) -> None:
    for name in ("users.json", "channels.json"):
        files = base()
        del files[name]
        assert name in refusal(zipped(tmp_path, files))


def test_the_users_of_an_organisation_are_read_where_a_workspace_has_none(tmp_path: Path) -> None:
    files = base()
    files["org_users.json"] = files.pop("users.json")
    assert [person.user_id for person in read(zipped(tmp_path, files), TEAM).people] == ["U0ADA", "U0BRAM"]
