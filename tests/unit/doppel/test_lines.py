import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppel.lines import Lines, LineTooLong, encoding_of

WORDS = "first\nsecond \u00e9\r\nthird \U0001f600"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lines_come_with_their_ends_and_numbers(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(WORDS.encode(encoding))
    with Lines(tmp_path / "a.txt") as lines:
        assert lines.peek() == "first\n"
        assert list(lines) == ["first\n", "second \u00e9\r\n", "third \U0001f600"]
        assert lines.number == 3
        assert lines.peek() == ""


def test_the_line_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n" * 50 + b"caf\xe9\n" + b"two\n" * 50)
    with Lines(tmp_path / "a.txt") as lines:
        with pytest.raises(UnicodeError):
            list(lines)
        assert lines.first_undecodable() == 51


def test_no_line_is_endless(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * (9 * 1024 * 1024))
    with Lines(tmp_path / "a.txt") as lines, pytest.raises(LineTooLong):
        next(lines)


@given(st.binary(max_size=8))
def test_any_beginning_has_an_encoding(start: bytes) -> None:
    assert codecs.lookup(encoding_of(start))
