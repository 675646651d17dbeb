"""Files → a ZIP, with every oddity that zipping and zipping again leaves. All of them are readable exports."""

import io
import unicodedata
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

ENCODINGS: Final = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16")


@dataclass(frozen=True)
class Wrapping:
    """How the files were zipped."""

    outer: str = ""
    backslashes: bool = False
    no_utf8_flag: bool = False
    decomposed: bool = False  # names as a Mac's old file system gives them back
    no_dates: bool = False
    stored: bool = False
    streamed: bool = False  # sizes after the data, as a server that streams writes them
    zip64: bool = False
    prefix: bytes = b""
    comment: bytes = b""
    leavings: tuple[str, ...] = ()


def make_wrapping(rng: Random) -> Wrapping:
    """Often as Slack does it, else with a few oddities."""
    if rng.random() < 0.4:
        return Wrapping(streamed=rng.random() < 0.5)
    outer = rng.choice(("", "", "My export Nov 2024/", "größer/", "general/"))
    return Wrapping(
        outer=outer,
        backslashes=rng.random() < 0.2,
        no_utf8_flag=rng.random() < 0.3,
        decomposed=rng.random() < 0.2,
        no_dates=rng.random() < 0.3,
        stored=rng.random() < 0.2,
        streamed=rng.random() < 0.3,
        zip64=rng.random() < 0.2,
        prefix=b"#!/bin/sh\n" if rng.random() < 0.1 else b"",
        comment=b"zipped by hand" if rng.random() < 0.1 else b"",
        leavings=tuple(
            name
            for name in (f"__MACOSX/{outer}._users.json", f"{outer}.DS_Store", "__MACOSX/", outer)
            if name and rng.random() < 0.4
        ),
    )


class _Entry(zipfile.ZipInfo):
    """An entry whose name is UTF-8 without saying so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(), self.flag_bits & ~0x800


class _Pipe(io.RawIOBase):
    """A file that can't go back, so that zipfile writes sizes after the data."""

    def __init__(self) -> None:
        self.data = io.BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.data.write(data)


def write_zip(path: Path, files: list[tuple[str, bytes]], wrapping: Wrapping, order: Random) -> None:
    """Write the files in the order that `order` gives."""
    named = [(wrapping.outer + name, data) for name, data in files]
    named += [(name, b"\x00\x05\x16\x07" if not name.endswith("/") else b"") for name in wrapping.leavings]
    order.shuffle(named)
    target: Any = _Pipe() if wrapping.streamed else io.BytesIO()
    target.write(wrapping.prefix)
    method = zipfile.ZIP_STORED if wrapping.stored else zipfile.ZIP_DEFLATED
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", method, compresslevel=1) as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name twice is meant
        archive.comment = wrapping.comment
        for name, data in named:
            with archive.open(_entry(name, wrapping, method), "w", force_zip64=wrapping.zip64) as entry:
                entry.write(data)
    path.write_bytes((target.data if isinstance(target, _Pipe) else target).getvalue())


def _entry(name: str, wrapping: Wrapping, method: int) -> zipfile.ZipInfo:
    if wrapping.decomposed:
        name = unicodedata.normalize("NFD", name)
    kind = _Entry if wrapping.no_utf8_flag else zipfile.ZipInfo
    entry = kind(name, (1980, 0, 0, 0, 0, 0) if wrapping.no_dates else (2024, 1, 1, 0, 0, 0))
    if wrapping.backslashes:
        entry.filename = name.replace("/", "\\")
    entry.compress_type = method
    entry.external_attr = 0o644 << 16
    return entry
