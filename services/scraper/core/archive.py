"""What may stand in a Slack export ZIP. Names are matched, never turned into a path; sizes are promises to be kept.

Imports nothing that a small worker process would have to carry; `ArchiveRefused` becomes `ExportInvalid` at the door.
"""

import re
import stat
import unicodedata
from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
ENCRYPTED_FLAG: Final = 0x1
UTF8_FLAG: Final = 0x800
STORED, DEFLATED = 0, 8
_DAY: Final = re.compile(r"([^/\x00-\x1f]{1,300})/([0-9]{4}-[0-9]{2}-[0-9]{2})\.json")
_ELSEWHERE: Final = re.compile(r"^/|^[A-Za-z]:/|(?:^|/)\.\.(?:/|$)|[\x00-\x1f]")
_ARCHIVES: Final = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz", ".zst")


class ArchiveRefused(ValueError):
    """Why an export is not read, as the rest of a sentence: "it is encrypted"."""


@dataclass(frozen=True)
class Limits:
    """Above these an export is refused; counted while streaming, whatever the directory claims."""

    entry_count: int = 200_000
    entry_bytes: int = 512 * MIB
    total_bytes: int = 50 * GIB
    ratio: int = 200
    ratio_after_bytes: int = 10 * MIB
    message_count: int = 200_000_000  # of what one process reads
    element_characters: int = 16 * MIB  # of one message, one person
    scratch_bytes: int = 20 * GIB  # sorted runs of one process, packed


@dataclass(frozen=True)
class DayFile:
    """One folder's messages of one day, by the exporting workspace's clock: nothing is concluded from the day."""

    folder: str
    day: str


def check_entry(
    name: str, *, flag_bits: int, external_attr: int, compress_type: int, size_bytes: int, limits: Limits
) -> None:
    """Refuse what no export of Slack's holds. Raises ArchiveRefused."""
    if _ELSEWHERE.search(name):
        raise ArchiveRefused("a name in it points outside of it")
    if flag_bits & ENCRYPTED_FLAG:
        raise ArchiveRefused("it is encrypted")
    if stat.S_ISLNK(external_attr >> 16):
        raise ArchiveRefused("it holds a link")
    if name.lower().endswith(_ARCHIVES):
        raise ArchiveRefused("it holds another archive")
    if compress_type not in (STORED, DEFLATED):
        raise ArchiveRefused("it is compressed in a way that Slack doesn't use")
    if size_bytes > limits.entry_bytes:
        raise ArchiveRefused(f"one of its files is larger than {limits.entry_bytes // MIB} MiB")


def readable_name(name: bytes, flag_bits: int) -> str:
    """The entry's name as its maker meant it: the UTF-8 flag is often missing. Raises ArchiveRefused."""
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        if flag_bits & UTF8_FLAG:
            raise ArchiveRefused("a name in it is damaged") from error
        text = name.decode("cp437")
    return text.replace("\\", "/")


def spellings(name: str) -> tuple[str, str]:
    """What a folder may have become on the way: a Mac takes letters apart, Windows forgets their case as well."""
    composed = unicodedata.normalize("NFC", name)
    return composed, unicodedata.normalize("NFC", composed.casefold())


def is_noise(name: str) -> bool:
    """Folders, and what a Mac adds when a person zips again."""
    parts = name.split("/")
    return name.endswith("/") or parts[0] == "__MACOSX" or parts[-1] in (".DS_Store", "Thumbs.db")


def may_enclose(name: str) -> str | None:
    """``export/`` of ``export/channels.json``, nothing of ``channels.json``; None: says nothing about folders."""
    head, _, last = name.rpartition("/")
    if last != "channels.json" or "/" in head:
        return None
    return f"{head}/" if head else ""


def parse_day_file(name: str) -> DayFile | None:
    """``general/2020-05-17.json``; None: something else, which is not read."""
    found = _DAY.fullmatch(name)
    return DayFile(found[1], found[2]) if found else None


def check_growth(read_bytes: int, packed_bytes: int, limits: Limits) -> None:
    """Called while an entry streams. Raises ArchiveRefused for a bomb."""
    if read_bytes > limits.entry_bytes:
        raise ArchiveRefused(f"one of its files is larger than {limits.entry_bytes // MIB} MiB")
    if is_bomb(read_bytes, packed_bytes, limits):
        raise ArchiveRefused("one of its files unpacks to far more than it should")


def is_bomb(plain_bytes: int, packed_bytes: int, limits: Limits) -> bool:
    """JSON that people wrote packs to a tenth, not to a thousandth."""
    return plain_bytes > limits.ratio_after_bytes and plain_bytes > limits.ratio * max(packed_bytes, 1)
