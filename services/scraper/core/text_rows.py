"""One row of a text file (JSONL or CSV) → author, time, channel, words. The format is in the README.

Ids that a file does not give are derived from names, so that the same name is the same person each time. Errors name
the field, never what stood in it.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from proto.scrape import TEXT_REQUIRED
from services.scraper.core.normalise import MAX_TEXT
from services.scraper.core.people import NAME_LIMIT, parse_text, parse_user_id
from services.scraper.core.timestamps import MICROSECOND

_SECONDS: Final = re.compile(r"(\d{1,16})(?:\.(\d{1,12}))?")
_LATEST_S: Final = 100_000_000_000  # eleven digits; Unix milliseconds have thirteen
_YES: Final = frozenset(("true", "1", "yes"))
_NO: Final = frozenset(("", "false", "0", "no"))
_ID_BYTES: Final = 10
_LABEL_LIMIT: Final = 1_000
_NAME_LIMIT: Final = 1_000
_REMEMBERED: Final = 10_000  # a history names the same few again and again
DELIMITERS: Final = (",", ";", "\t")


class RowInvalid(ValueError):
    """A row that can't be read; the sentence says which field and what it should be."""


@dataclass(frozen=True)
class Row:
    """One message as the file has it. `micros`: Unix microseconds; `author` and `author_id` may both be missing."""

    channel: str = field(repr=False)
    micros: int
    text: str = field(repr=False)
    author: str = field(default="", repr=False)
    author_id: str | None = None
    thread: str = field(default="", repr=False)
    is_bot: bool = False

    @property
    def user_id(self) -> str | None:
        """Who wrote it: the id given, or one derived from the name."""
        if self.author_id is not None or not self.author:
            return self.author_id
        return derive_user_id(self.author)


def parse_row(fields: Mapping[str, Any]) -> Row:
    """Read one row; keys are lower case. Raises RowInvalid."""
    channel = _name(fields, "channel")
    if not channel:
        raise RowInvalid("has no `channel`")
    author_id = fields.get("author_id")
    if author_id in (None, ""):
        author_id = None
    elif (author_id := parse_user_id(author_id)) is None:
        raise RowInvalid("has an `author_id` that is no Slack user id (`U…` or `W…`)")
    text = fields.get("text")
    if text is not None and not isinstance(text, str):
        raise RowInvalid("has a `text` that is no text")
    return Row(
        channel=channel,
        micros=parse_time(fields.get("time")),
        text=parse_text(text)[:MAX_TEXT],
        author=_name(fields, "author"),
        author_id=author_id,
        thread=_name(fields, "thread")[:_LABEL_LIMIT],
        is_bot=_flag(fields.get("is_bot")),
    )


def parse_time(value: Any) -> int:
    """ISO 8601 (without an offset: UTC) or Unix seconds → Unix microseconds. Raises RowInvalid."""
    text = str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
    if not text:
        raise RowInvalid("has no `time`")
    if found := _SECONDS.fullmatch(text):
        seconds = int(found[1])
        if seconds >= _LATEST_S:
            raise RowInvalid("has a `time` out of range (Unix seconds, not milliseconds)")
        return seconds * MICROSECOND + int((found[2] or "")[:6].ljust(6, "0"))
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise RowInvalid("has a `time` that is neither ISO 8601 nor Unix seconds") from error
    micros = (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds
    if micros < 0:
        raise RowInvalid("has a `time` before 1970")
    return micros


def check_fields(found: Sequence[str]) -> None:
    """Has a file the fields that every message needs? Raises RowInvalid."""
    missing = [name for name in TEXT_REQUIRED if name not in found]
    if missing:
        raise RowInvalid(f"lacks {' and '.join(f'`{name}`' for name in missing)}")


def choose_delimiter(header: str) -> str:
    """What separates the columns: a spreadsheet writes what its country likes."""
    return max(DELIMITERS, key=header.count)


def column_names(header: Sequence[str]) -> list[str]:
    """The columns of a CSV file. Raises RowInvalid."""
    names = [name.strip().lower() for name in header]
    check_fields(names)
    known = [name for name in names if name]
    if len(set(known)) != len(known):
        raise RowInvalid("names a column twice")
    return names


@lru_cache(maxsize=_REMEMBERED)
def derive_user_id(name: str) -> str:
    """A person known by name only. Stable; the case counts, so `ada` and `Ada` are two."""
    return f"U{_digest('author', name)}"


@lru_cache(maxsize=_REMEMBERED)
def derive_channel_id(name: str) -> str:
    """A channel known by name only."""
    return f"C{_digest('channel', name)}"


def _digest(kind: str, name: str) -> str:
    digest = hashlib.sha256(f"{kind}/{name}".encode()).digest()
    return base64.b32encode(digest[:_ID_BYTES]).decode()


def _name(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)  # a number makes a fine name or label
    if value is not None and not isinstance(value, str):
        raise RowInvalid(f"has a `{key}` that is no text")
    name = unicodedata.normalize("NFC", parse_text(value)).strip()
    if len(name) > _NAME_LIMIT and key != "thread":
        raise RowInvalid(f"has a `{key}` longer than {_NAME_LIMIT} characters")
    return name


def _flag(value: Any) -> bool:
    text = str(value).strip().lower() if value is not None else ""
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise RowInvalid("has an `is_bot` that is neither true nor false")


def display_name(name: str) -> str:
    """What a directory shows of a name."""
    return name[:NAME_LIMIT]
