"""Single fields of Slack's JSON, read so that nothing in them can surprise what comes after.

Imports nothing that a small worker process would have to carry.
"""

import re
from typing import Any, Final

_USER_ID: Final = re.compile(r"[UW][A-Z0-9]{1,30}")
_FILE_TOKEN: Final = re.compile(r"(?<=[?&]t=)xox[\w.-]{4,400}")
FILE_TOKEN: Final = "[secret]"  # noqa: S105  what stands in its place


def parse_user_id(value: Any) -> str | None:
    """A user id, or None."""
    return value if isinstance(value, str) and _USER_ID.fullmatch(value) else None


def parse_text(value: Any) -> str:
    """A string field; anything else is empty. Neither NUL nor lone surrogates."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value.replace("\x00", "")
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def strip_file_tokens(text: str) -> str:
    """Export links carry a token that opens the file: it leaves before anything is stored."""
    return _FILE_TOKEN.sub(FILE_TOKEN, text) if "t=xox" in text else text
