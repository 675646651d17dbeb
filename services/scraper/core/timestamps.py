"""Slack's timestamps: text that is compared as a number and never becomes a float."""

import re
from datetime import UTC, datetime
from typing import Any, Final

_TS: Final = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?")
MICROSECOND: Final = 1_000_000


def parse_ts(value: Any) -> str | None:
    """A timestamp as text, or None. Hand-made exports have it as a number, or without its dot."""
    if isinstance(value, bool) or value is None:
        return None
    found = _TS.fullmatch(str(value))
    if found is None:
        return None
    return f"{found[1]}.{found[2] or '000000'}"


def ts_key(ts: str) -> str:
    """Sorts as text in the order of time: digits filled up on both sides."""
    seconds, _, fraction = ts.partition(".")
    return f"{seconds.zfill(12)}.{fraction.ljust(9, '0')}"


def seconds_of(ts: str) -> float:
    """Unix seconds, good enough for distances between messages; never turned back into a `ts`."""
    return float(ts)


def ts_of(instant: datetime) -> str:
    """A timestamp to ask Slack with."""
    micros = round(instant.astimezone(UTC).timestamp() * MICROSECOND)
    seconds, fraction = divmod(max(micros, 0), MICROSECOND)
    return f"{seconds}.{fraction:06d}"
