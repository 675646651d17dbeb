"""Rows: what a corpus is sorted by, in front of the line itself, all in bytes, so that sorting compares memory.

First the copies of a message have to meet: ``channel · ts · when edited · flags · thread · line``, sorted as text,
puts the best copy last. Then threads have to meet: ``channel · thread · ts · line``, sorted as text, is a corpus's
order. The channel is a number: whoever made the rows knows which is which.
"""

from collections import Counter
from typing import Final

import msgspec

from services.scraper.core.timestamps import KEY_LENGTH, ts_key
from services.scraper.core.words import Gone, Line, Spoken

CHANNEL: Final = 6  # digits of its number
SAME: Final = CHANNEL + KEY_LENGTH  # rows that are equal so far are copies of one message
FLAGS: Final = SAME + KEY_LENGTH
THREAD: Final = FLAGS + 1
BODY: Final = THREAD + KEY_LENGTH
TS: Final = CHANNEL + KEY_LENGTH  # of a row of the second form
LINE: Final = TS + KEY_LENGTH

NEVER: Final = "000000000000.000000000"
_FOR_EVER: Final = "999999999999.999999999"
_WORDS, _IN_THREAD, _EDITED = 1, 2, 4
_GONE: Final = ord("8")  # sorts after every copy; even, as what has no words

encode_line: Final = msgspec.json.Encoder().encode
_decode_line: Final = msgspec.json.Decoder(Line).decode


def channel_prefix(number: int) -> str:
    """In front of every row of the channel."""
    return f"{number:0{CHANNEL}d}"


def row_of(found: Spoken | Gone, channel: str) -> bytes:
    """A row of the first form."""
    if isinstance(found, Gone):
        key = ts_key(found.ts)
        return f"{channel}{key}{_FOR_EVER}8{key}".encode()
    line, edited_ts = found
    key = ts_key(line.ts)
    flags = _EDITED * line.edited + (_WORDS if line.text else 0)
    if line.thread_ts is None:
        return f"{channel}{key}{edited_ts or NEVER}{flags}{key}".encode() + encode_line(line)
    thread = ts_key(line.thread_ts)
    return f"{channel}{key}{edited_ts or NEVER}{flags + _IN_THREAD}{thread}".encode() + encode_line(line)


class Copies:
    """Sorted rows of the first form → one row of the second form for each message that stays, batch by batch.

    The latest edited copy stays; where it doesn't know its thread, another copy does. However many copies come, two
    are held.
    """

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._best = self._threaded = b""
        self._count = 0

    def join(self, rows: list[bytes]) -> list[bytes]:
        """What is settled by now: the last message may have more copies in the next batch."""
        keys = {row[:SAME] for row in rows}
        if len(keys) == len(rows) and self._best[:SAME] not in keys:
            plain = [
                row[:CHANNEL] + row[THREAD:BODY] + row[CHANNEL:SAME] + row[BODY:]
                for row in rows
                if row[FLAGS] & _WORDS
            ]
            if rows and len(plain) == len(rows):
                settled = self.rest()
                self._best = rows[-1]
                plain.pop()
                return settled + plain
        settled: list[bytes] = []
        for row in rows:
            if row[:SAME] != self._best[:SAME]:
                settled += self.rest()
            elif self._best[FLAGS] != _GONE:
                self._count += 1
                if self._best[FLAGS] & _IN_THREAD:
                    self._threaded = self._best
            self._best = row
        return settled

    def rest(self) -> list[bytes]:
        """The row that stays of the last message, if any."""
        best, threaded, copies = self._best, self._threaded, self._count
        self._best, self._threaded, self._count = b"", b"", 0
        if not best:
            return []
        if best[FLAGS] == _GONE:
            self._count_as("deleted", copies)
            return []
        self._count_as("duplicate", copies)
        if not best[FLAGS] & _WORDS:
            self._count_as("no_words", 1)
            return []
        thread, body = best[THREAD:BODY], best[BODY:]
        if threaded and not best[FLAGS] & _IN_THREAD:
            line = _decode_line(body)
            line.thread_ts = _decode_line(threaded[BODY:]).thread_ts
            thread, body = threaded[THREAD:BODY], encode_line(line)
        return [best[:CHANNEL] + thread + best[CHANNEL:SAME] + body]

    def _count_as(self, reason: str, count: int) -> None:
        if count:
            self._dropped[reason] += count


def set_replies_aside(rows: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Rows of the second form that stay where they are when threads meet, and those that move."""
    replies = [row for row in rows if row[CHANNEL:TS] != row[TS:LINE]]
    others = [row for row in rows if row[CHANNEL:TS] == row[TS:LINE]] if replies else rows
    return others, replies
