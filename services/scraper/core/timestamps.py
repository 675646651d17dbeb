"""Slack's timestamps: text that is compared as a number and never becomes a float."""

import re
from datetime import UTC, datetime
from typing import Any, Final

_TS: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")
USUAL_TS: Final = re.compile(r"[0-9]{10}\.[0-9]{6}")
MICROSECOND: Final = 1_000_000
KEY_LENGTH: Final = 22  # of every sort key


def parse_ts(value: Any) -> str | None:
    """A timestamp as text, or None. Hand-made exports have it as a number, or without its dot."""
    if isinstance(value, str) and USUAL_TS.fullmatch(value):
        return value
    if isinstance(value, bool) or value is None:
        return None
    found = _TS.fullmatch(str(value))
    if found is None:
        return None
    return f"{found[1]}.{(found[2] or '').ljust(6, '0')}"


def ts_key(ts: str) -> str:
    """Sorts as text in the order of time: digits filled up on both sides."""
    if len(ts) == 17 and ts[10] == ".":
        return f"00{ts}000"
    seconds, _, fraction = ts.partition(".")
    return f"{seconds.zfill(12)}.{fraction.ljust(9, '0')}"


def ts_of_key(key: str) -> str:
    """A sort key back as a timestamp of Slack's usual form."""
    seconds, _, fraction = key.partition(".")
    return f"{int(seconds)}.{fraction[:6]}"


def seconds_of(ts: str) -> float:
    """Unix seconds, good enough for distances between messages; never turned back into a `ts`."""
    return float(ts)


def ts_of(instant: datetime) -> str:
    """A timestamp to ask Slack with."""
    return ts_of_micros(max(round(instant.astimezone(UTC).timestamp() * MICROSECOND), 0))


def ts_of_micros(micros: int) -> str:
    """Unix microseconds as a timestamp."""
    seconds, fraction = divmod(micros, MICROSECOND)
    return f"{seconds}.{fraction:06d}"
