"""Rows: what a corpus is sorted by, in front of the line itself, all in bytes, so that sorting compares memory.

First the copies of a message have to meet: ``channel · ts · when edited · flags · thread · line``, sorted as text,
puts the best copy last. Then threads have to meet: ``channel · thread · ts · line``, sorted as text, is a corpus's
order. The channel is a number: whoever made the rows knows which is which.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
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


def join_copies(rows: Iterable[bytes], dropped: Counter[str]) -> Iterator[bytes]:
    """Sorted rows of the first form → one row of the second form for each message that stays.

    The latest edited copy stays; where it doesn't know its thread, another copy does. Holds two rows.
    """
    same, best, threaded, copies = b"", b"", b"", 0
    for row in rows:
        if row[:SAME] == same:
            if best[FLAGS] != _GONE:
                copies += 1
                if best[FLAGS] & _IN_THREAD:
                    threaded = best
            best = row
            continue
        if copies == 0 and best and best[FLAGS] & _WORDS:
            yield best[:CHANNEL] + best[THREAD:BODY] + best[CHANNEL:SAME] + best[BODY:]
        elif best:
            yield from _chosen(best, threaded, copies, dropped)
        same, best, threaded, copies = row[:SAME], row, b"", 0
    if best:
        yield from _chosen(best, threaded, copies, dropped)


def _chosen(best: bytes, threaded: bytes, copies: int, dropped: Counter[str]) -> Iterator[bytes]:
    """The row that stays of one message, if any. `copies`: how many others there were."""
    if best[FLAGS] == _GONE:
        if copies:
            dropped["deleted"] += copies
        return
    if copies:
        dropped["duplicate"] += copies
    if not best[FLAGS] & _WORDS:
        dropped["no_words"] += 1
        return
    thread, body = best[THREAD:BODY], best[BODY:]
    if threaded and not best[FLAGS] & _IN_THREAD:
        line = _decode_line(body)
        line.thread_ts = _decode_line(threaded[BODY:]).thread_ts
        thread, body = threaded[THREAD:BODY], encode_line(line)
    yield best[:CHANNEL] + thread + best[CHANNEL:SAME] + body


def is_reply(row: bytes) -> bool:
    """Does a row of the second form move when threads meet?"""
    return row[CHANNEL:TS] != row[TS:LINE]
