"""What may stand in a Slack export ZIP. Names are matched, never turned into a path; sizes are promises to be kept."""

import contextlib
import re
import stat
import struct
from dataclasses import dataclass
from typing import Final

from proto.errors import ExportInvalid

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
UTF8_FLAG: Final = 0x800
ENCRYPTED_FLAG: Final = 0x1
STORED, DEFLATED = 0, 8
TAIL_BYTES: Final = 65_536 + 22 + 20 + 56  # longest comment, end record, zip64 locator and record
_END: Final = b"PK\x05\x06"
_END64: Final = b"PK\x06\x06"
_MANY: Final = 0xFFFF
_DAY: Final = re.compile(r"([^/\x00-\x1f]{1,300})/(\d{4}-\d{2}-\d{2})\.json")
_ARCHIVES: Final = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Limits:
    """Above these an export is refused; counted while streaming, whatever the directory claims."""

    entry_count: int = 200_000
    entry_bytes: int = 512 * MIB
    total_bytes: int = 50 * GIB
    ratio: int = 200
    ratio_after_bytes: int = 10 * MIB
    element_characters: int = 16 * MIB  # of one message, one person


@dataclass(frozen=True)
class DayFile:
    """One folder's messages of one day, by the exporting workspace's clock: nothing is concluded from the day."""

    folder: str


def count_entries(tail: bytes) -> int:
    """How many entries the end record names, so that a bomb of names is refused unread. Raises ExportInvalid."""
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise ExportInvalid("it is no complete ZIP file")
    count = struct.unpack_from("<H", tail, at + 10)[0]
    if count == _MANY and (at64 := tail.rfind(_END64, 0, at)) >= 0 and len(tail) >= at64 + 40:
        count = struct.unpack_from("<Q", tail, at64 + 32)[0]
    return int(count)


def check_entry(
    name: str, *, flag_bits: int, external_attr: int, compress_type: int, size_bytes: int, limits: Limits
) -> None:
    """Refuse what no export of Slack's holds. Raises ExportInvalid."""
    if flag_bits & ENCRYPTED_FLAG:
        raise ExportInvalid("it is encrypted")
    if stat.S_ISLNK(external_attr >> 16):
        raise ExportInvalid("it holds a link")
    if name.lower().endswith(_ARCHIVES):
        raise ExportInvalid("it holds another archive")
    if compress_type not in (STORED, DEFLATED):
        raise ExportInvalid("it is compressed in a way that Slack doesn't use")
    if size_bytes > limits.entry_bytes:
        raise ExportInvalid(f"one of its files is larger than {limits.entry_bytes // MIB} MiB")


def readable_name(name: str, flag_bits: int) -> str:
    """The entry's name as its maker meant it: zipfile reads cp437 where the UTF-8 flag is missing."""
    if not flag_bits & UTF8_FLAG and not name.isascii():
        with contextlib.suppress(UnicodeError):  # then it really is cp437
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def is_noise(name: str) -> bool:
    """Folders, and what a Mac adds when a person zips again."""
    parts = name.split("/")
    return name.endswith("/") or parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Thumbs.db")


def enclosing_folder(names: list[str]) -> str:
    """``export/`` where everything lies in one more folder; empty where nothing does."""
    for name in names:
        head, _, last = name.rpartition("/")
        if last == "channels.json" and "/" not in head:
            return f"{head}/" if head and "channels.json" not in names else ""
    return ""


def parse_day_file(name: str) -> DayFile | None:
    """``general/2020-05-17.json``; None: something else, which is not read."""
    found = _DAY.fullmatch(name)
    return DayFile(found[1]) if found else None


def check_growth(read_bytes: int, packed_bytes: int, limits: Limits) -> None:
    """Called while an entry streams. Raises ExportInvalid for a bomb."""
    if read_bytes > limits.entry_bytes:
        raise ExportInvalid(f"one of its files is larger than {limits.entry_bytes // MIB} MiB")
    if read_bytes > limits.ratio_after_bytes and read_bytes > limits.ratio * max(packed_bytes, 1):
        raise ExportInvalid("one of its files unpacks to far more than it should")
