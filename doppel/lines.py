"""The lines of a text file that somebody else wrote: any usual encoding, any size, none of them endless."""

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

LINE_CHARACTERS: Final = 8 * 1024 * 1024


class LineTooLong(ValueError):
    """A line that no person wrote."""


class Lines:
    """The lines of a file, counted, with their ends. UTF-8 or UTF-16, with or without a byte order mark.

    Iterating raises LineTooLong, UnicodeError.
    """

    def __init__(self, path: Path) -> None:
        file = path.open("rb")
        self._path = path
        self._encoding = encoding_of(file.read(4))
        file.seek(0)
        self._text = io.TextIOWrapper(file, encoding=self._encoding, newline="")
        self._peeked: str | None = None
        self.number = 0

    def __enter__(self) -> Self:
        """Use as a context manager: the file is closed at its end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self._text.close()

    def __iter__(self) -> Iterator[str]:
        """Itself: lines come once."""
        return self

    def __next__(self) -> str:
        """The next line."""
        line = self.peek()
        self._peeked = None
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) >= LINE_CHARACTERS:
            raise LineTooLong
        return line

    def peek(self) -> str:
        """The next line, which comes again; empty at the end."""
        if self._peeked is None:
            self._peeked = self._text.readline(LINE_CHARACTERS)
        return self._peeked

    def first_undecodable(self) -> int:
        """The number of the line that is no text: decoding runs ahead of reading."""
        if self._encoding != "utf-8-sig":
            return self.number + 1
        with self._path.open("rb") as file:
            number = 1
            while piece := file.readline(LINE_CHARACTERS):
                try:
                    piece.decode()
                except UnicodeDecodeError:
                    break
                number += 1
        return number


def encoding_of(start: bytes) -> str:
    """By its mark, or by where the zeros of its first character are."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start[1:2] == b"\0" and start[:1] != b"\0":
        return "utf-16-le"
    if start[:1] == b"\0" and start[1:2] != b"\0":
        return "utf-16-be"
    return "utf-8-sig"
