"""Archives as many programs write them, and as nobody should: read as `zipfile` does, or refused."""

import io
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scraper.adapters.zip_directory import find_directory, list_entries
from services.scraper.adapters.zip_entries import WHOLE_BYTES, Entry, ZipEntries, pack_entry, unpack_entries
from services.scraper.core.archive import DEFLATED, STORED, ArchiveRefused, Limits

contents = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8),
    st.tuples(st.binary(max_size=300), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])),
    max_size=5,
)


def write(
    files: dict[str, tuple[bytes, int]], *, front: bytes = b"", comment: bytes = b"", streamed: bool = False
) -> bytes:
    """A streamed one has no sizes in its local headers; with something in front it is self-extracting."""
    file = io.BytesIO(front)
    file.seek(len(front))
    target = _Unseekable(file) if streamed else file
    with zipfile.ZipFile(target, "a" if front else "w") as archive:  # pyright: ignore[reportArgumentType]
        for name, (content, method) in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
        archive.comment = comment
    return file.getvalue()


class _Unseekable(io.RawIOBase):
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._file.write(data)


def read(data: bytes, *, in_pieces: bool = False, limits: Limits | None = None) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zip"
        path.write_bytes(data)
        with ZipEntries(path, limits or Limits()) as archive:
            directory = find_directory(archive.handle, limits or Limits())
            for each in list_entries(archive.handle, directory, limits or Limits()):
                entry = Entry(
                    b"2024-01-01",
                    each.offset,
                    each.packed_bytes,
                    each.size_bytes,
                    each.crc,
                    each.compress_type,
                )
                if each.compress_type not in (STORED, DEFLATED):  # as `check_entry` does
                    raise ArchiveRefused("strange")
                assert unpack_entries(pack_entry(entry)) == [entry]
                whole = None if in_pieces else archive.whole(entry)
                found[each.name.decode()] = b"".join(archive.pieces(entry)) if whole is None else whole
    return found


@given(
    contents,
    st.booleans(),
    st.sampled_from([b"", b"#!/bin/sh\n"]),
    st.just(b"PK\x05\x06") | st.binary(max_size=20),
    st.booleans(),
)
def test_what_zipfile_writes_is_read(
    files: dict[str, tuple[bytes, int]], in_pieces: bool, front: bytes, comment: bytes, streamed: bool
) -> None:
    data = write(files, front=front, comment=comment, streamed=streamed and not front)
    assert read(data, in_pieces=in_pieces) == {name: content for name, (content, _) in files.items()}


def test_an_archive_with_64_bit_fields_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(66_000):  # more than 16 bits count
            archive.writestr(f"{number}", b"" if number else b"content")
        with archive.open(zipfile.ZipInfo("large"), "w", force_zip64=True) as entry:
            entry.write(b"more")
    found = read(file.getvalue())
    assert (len(found), found["0"], found["large"]) == (66_001, b"content", b"more")
    with pytest.raises(ArchiveRefused, match="more than 66000"):
        read(file.getvalue(), limits=Limits(entry_count=66_000))


def test_sizes_and_offsets_beyond_32_bits_are_read_from_the_extra_field(tmp_path: Path) -> None:
    """A sparse file of five gigabytes in front."""
    inner = write({"a": (b"far away", zipfile.ZIP_STORED)})
    path, shift = tmp_path / "far.zip", 5 * 1024**3
    at = inner.find(b"PK\x01\x02")
    header = bytearray(inner[at : at + 46])
    struct.pack_into("<H", header, 30, 12)  # extra field
    struct.pack_into("<L", header, 42, 0xFFFFFFFF)
    directory = bytes(header) + b"a" + struct.pack("<HHQ", 1, 8, shift)
    begin = shift + at
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(directory), begin)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, begin + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with path.open("wb") as file:
        file.seek(shift)
        file.write(inner[:at] + directory + end64 + locator + end)
    with ZipEntries(path, Limits()) as archive:
        (listed,) = list_entries(archive.handle, find_directory(archive.handle, Limits()), Limits())
        assert listed.offset == shift
        entry = Entry(
            b"", listed.offset, listed.packed_bytes, listed.size_bytes, listed.crc, listed.compress_type
        )
        assert archive.whole(entry) == b"far away"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_large_entry_comes_in_pieces(tmp_path: Path, method: int) -> None:
    content = random.Random(1).randbytes(WHOLE_BYTES // 2) * 2 + b"end"
    assert read(write({"large": (content, method)})) == {"large": content}


def _of_first_header(name: bytes, at: int, value: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        begin = data.rfind(b"PK\x01\x02")
        assert name in data[begin:]
        struct.pack_into("<L", data, begin + at, value)

    return change


@pytest.mark.parametrize("in_pieces", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        _of_first_header(b"a", 16, 0),  # crc
        _of_first_header(b"a", 20, 3),  # packed size
        _of_first_header(b"a", 20, 10**6),
        _of_first_header(b"a", 24, 3),  # size
        _of_first_header(b"a", 24, 10**6),
        _of_first_header(b"a", 42, 5),  # offset
        _of_first_header(b"a", 42, 10**9),
        lambda data: data.__setitem__(slice(0, 2), b"XX"),  # local header
        lambda data: data.__setitem__(slice(32, 40), b"\xff" * 8),  # content
        lambda data: data.__delitem__(slice(len(data) - 30, None)),
        lambda data: data.clear(),
    ],
)
def test_a_broken_promise_is_refused(change: Callable[[bytearray], None], in_pieces: bool) -> None:
    data = bytearray(write({"a": (b"some words " * 20, zipfile.ZIP_DEFLATED)}))
    change(data)
    with pytest.raises(ArchiveRefused):
        read(bytes(data), in_pieces=in_pieces)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=6), st.booleans())
def test_any_flipped_bytes_are_read_or_refused(at: int, garbage: bytes, in_pieces: bool) -> None:
    data = bytearray(
        write({"a": (b"some words " * 20, zipfile.ZIP_DEFLATED), "b": (b"more", zipfile.ZIP_STORED)})
    )
    data[at : at + len(garbage)] = garbage
    try:
        found = read(bytes(data), in_pieces=in_pieces)
    except (ArchiveRefused, UnicodeDecodeError):  # the latter by this test, of a name
        return
    assert set(found.values()) <= {b"some words " * 20, b"more"}


@given(st.binary(max_size=200))
def test_any_bytes_are_no_archive(data: bytes) -> None:
    with pytest.raises(ArchiveRefused):
        read(data)


@pytest.mark.parametrize("claimed", [10**8, 10**6])
def test_a_bomb_is_refused_whatever_it_says(tmp_path: Path, claimed: int) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(b" " * 10**6) for _ in range(100)) + packer.flush()
    path = tmp_path / "x"
    path.write_bytes(struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, 0, 0, 0, 0) + packed)
    with ZipEntries(path, Limits()) as archive:
        read_bytes: list[int] = []
        with pytest.raises(ArchiveRefused, match="far more" if claimed > 10**7 else "damaged"):
            read_bytes.extend(map(len, archive.pieces(Entry(b"", 0, len(packed), claimed, 0, 8))))
        assert sum(read_bytes) <= 10**6
