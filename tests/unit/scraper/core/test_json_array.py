"""An array in pieces is the array, wherever it was cut."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.core.json_array import BadArray, ElementTooLong, array_elements

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def read(data: bytes, size: int = 7, limit: int = 10_000) -> list[Any]:
    return list(array_elements(pieces(data, size), limit))


@given(
    st.lists(values),
    st.integers(1, 50),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_what_json_reads_is_read(
    elements: list[Any], size: int, encoding: str, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(elements, ensure_ascii=ascii_only, indent=indent)
    try:
        data = f" \n{text}\r\n ".encode(encoding)
    except UnicodeEncodeError:
        return
    assert read(data, size, limit=10**6) == elements


def test_a_number_is_not_cut_in_two_and_keeps_its_digits() -> None:
    for size in range(1, 30):
        assert read(b"[1234567,1700000000.000100 , -1e3]", size) == [
            1234567,
            Decimal("1700000000.000100"),
            Decimal("-1e3"),
        ]
        assert str(read(b"[1700000000.000100]", size)[0]) == "1700000000.000100"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]]",
        b"[NaN]",
        b"[Infinity]",
        b'["\xe9"]',
        b'["\n"]',
        b"[" * 100_000,
        b'[{"a":' * 100_000,
        b"[" + b"9" * 5_000 + b"]",
        b"\xff\xfe[\x00\x00\xd8]\x00",
        b"\xff",
    ],
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    for size in (1, 5, 100_000) if len(data) < 100 else (4_096,):
        with pytest.raises((BadArray, ElementTooLong)):
            read(data, size, limit=10**6)


def test_one_long_element_is_refused_before_it_fills_the_memory() -> None:
    def endless() -> Iterator[bytes]:
        yield b'["'
        while True:
            yield b"x" * 1_000

    with pytest.raises(ElementTooLong):
        list(array_elements(endless(), 50_000))


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_or_refused(data: bytes, size: int) -> None:
    try:
        elements = read(data, size)
    except (BadArray, ElementTooLong):
        return
    assert isinstance(elements, list)
