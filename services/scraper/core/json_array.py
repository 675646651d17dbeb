"""The elements of a JSON array that arrives in pieces, one at a time: memory is one element's, not the array's.

The standard library's scanner reads each element; it refuses deep nesting instead of ending the process.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

_BETWEEN: Final = re.compile(r"[ \t\n\r]*")
_NUMBER_TAIL: Final = frozenset("0123456789.eE+-")


class BadArray(ValueError):
    """The bytes are no array of JSON values."""


class ElementTooLong(ValueError):
    """One element is longer than the limit."""


def _refuse(name: str) -> Any:
    raise BadArray(f"{name} is no JSON")


# Numbers keep their digits: a timestamp that somebody stored as a number must not pass through a float.
_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


def array_elements(pieces: Iterable[bytes], element_limit: int) -> Iterator[Any]:
    """Yield the elements. Raises BadArray, ElementTooLong (in characters)."""
    text = _Text(pieces, element_limit)
    if text.next_character() != "[":
        raise BadArray("no array")
    text.position += 1
    if text.next_character() == "]":
        text.position += 1
    else:
        while True:
            yield text.element()
            separator = text.next_character()
            text.position += 1
            if separator == "]":
                break
            if separator != ",":
                raise BadArray("no separator")
    if text.next_character():
        raise BadArray("more after the array")


class _Text:
    """Decoded text, a window of it: what is read already is let go."""

    def __init__(self, pieces: Iterable[bytes], limit: int) -> None:
        self._pieces = iter(pieces)
        self._limit = limit
        self._decoder: codecs.IncrementalDecoder | None = None
        self._head = b""
        self._buffer = ""
        self._ended = False
        self.position = 0

    def next_character(self) -> str:
        """The next one that is no white space, not taken; empty at the end."""
        while True:
            found = _BETWEEN.match(self._buffer, self.position)
            self.position = found.end() if found else self.position
            if self.position < len(self._buffer):
                return self._buffer[self.position]
            if not self._read_more():
                return ""

    def element(self) -> Any:
        """The next value."""
        self.next_character()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self.position)
                is_json = True
                if self._ended or not isinstance(value, (int, Decimal)) or self._is_whole(end):
                    self.position = end
                    return value  # else a number, which may go on in the next piece
            except RecursionError as error:
                raise BadArray("nested too deeply") from error
            except ValueError:  # not kept: with its traceback it would hold all that was read
                is_json = False
            if len(self._buffer) - self.position > self._limit:
                raise ElementTooLong("one element is too long")
            if not self._read_more(at_least=len(self._buffer) - self.position) and not is_json:
                raise BadArray("an element is no JSON")

    def _is_whole(self, end: int) -> bool:
        """Does a number really end there, or only what has arrived of it?"""
        return end < len(self._buffer) and self._buffer[end] not in _NUMBER_TAIL

    def _read_more(self, at_least: int = 1) -> bool:
        """Double what is held, so that a long element is not scanned again for every piece."""
        if self._ended:
            return False
        self._buffer = self._buffer[self.position :]
        self.position = 0
        added: list[str] = []
        size = 0
        while size < at_least and not self._ended:
            piece = next(self._pieces, b"")
            self._ended = not piece
            added.append(self._decode(piece))
            size += len(added[-1])
        self._buffer += "".join(added)
        return size > 0

    def _decode(self, piece: bytes) -> str:
        """UTF-8, or what a byte order mark says: editors add one, or save as UTF-16."""
        if self._decoder is None:
            self._head += piece
            if len(self._head) < 3 and piece:
                return ""
            piece, self._head = self._head, b""
            is_utf16 = piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            self._decoder = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")()
        try:
            return self._decoder.decode(piece, self._ended)
        except UnicodeError as error:
            raise BadArray("wrong encoding") from error
