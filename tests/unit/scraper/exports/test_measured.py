"""What reading costs at the limits, in processes of its own: seconds of a core, memory, disk."""

import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from services.scraper.core.archive import Limits
from tests.support.exports.handmade import (
    SECRET,
    Entry,
    as_entries,
    base,
    day_names,
    said,
    write,
    write_entries,
)
from tests.support.exports.measure import Measured, measure

thorough = pytest.mark.skipif(
    settings.get_current_profile_name() != "thorough", reason="takes a minute: --hypothesis-profile=thorough"
)
RSS_MIB = 250
MIB = 1024 * 1024


@pytest.fixture
def cost(tmp_path: Path, record_property: Any) -> Any:
    """Reads an archive and checks what is true of every one."""

    def read(path: Path, *, cpu_s: float = 30, rss_mib: float = RSS_MIB, disk_mib: float = 32) -> Measured:
        found = measure(path, tmp_path / f"out-{len(list(tmp_path.iterdir()))}")
        record_property("cost", f"{path.stat().st_size / MIB:.1f} MiB zip: {found}")
        assert SECRET not in found.refused
        assert found.cpu_s < cpu_s
        assert found.rss_mib < rss_mib
        assert found.disk_mib < disk_mib
        return found

    return read


def packed_entry(name: bytes, pieces: Iterator[bytes]) -> Entry:
    """An entry that is never held unpacked."""
    packer, packed, crc, size = zlib.compressobj(1, zlib.DEFLATED, -15), bytearray(), 0, 0
    for piece in pieces:
        packed += packer.compress(piece)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    return Entry(name, b"", packed=bytes(packed + packer.flush()), crc=crc, size=size)


def day(tmp_path: Path, pieces: Iterator[bytes]) -> Path:
    """An export with one day of these bytes."""
    big = packed_entry(b"eng/2024-01-02.json", pieces)
    return write_entries(tmp_path / "export.zip", [*as_entries(base()), big])


def messages(count: int) -> Iterator[bytes]:
    """A legitimate day file: long messages, about 3 kB each."""
    rng = random.Random(3)
    words = [rng.randbytes(3).hex() for _ in range(3_000)]
    texts = [" ".join(rng.choices(words, k=400)) for _ in range(300)]
    for begin in range(0, count, 1_000):
        rows = (said(2 + n, f"{n} {texts[n % 300]}") for n in range(begin, min(begin + 1_000, count)))
        yield (b"[" if begin == 0 else b",") + ",".join(map(json.dumps, rows)).encode()
    yield b"]"


def test_as_many_files_as_there_may_be_are_read(tmp_path: Path, cost: Any) -> None:
    count = Limits().entry_count
    names = day_names(count - 2)
    entries = (
        Entry(next(names).encode(), json.dumps([said(n)]).encode(), method=0) for n in range(count - 2)
    )
    listed = [each for each in as_entries(base()) if b"2024" not in each.name]
    found = cost(write_entries(tmp_path / "export.zip", (*listed, *entries)), cpu_s=60, disk_mib=64)
    assert (found.refused, found.message_count) == ("", count - 2)


def test_one_file_more_is_refused_also_when_the_count_lies(tmp_path: Path, cost: Any) -> None:
    entries = [*as_entries(base()), *(Entry(name.encode(), b"[]", method=0) for name in day_names(199_998))]
    for claimed in (None, 3):
        found = cost(write_entries(tmp_path / "export.zip", entries, count=claimed), cpu_s=20)
        assert "200000" in found.refused or "complete" in found.refused


def test_a_day_of_300_mb_is_read(tmp_path: Path, cost: Any) -> None:
    count = 108_000
    path = day(tmp_path, messages(count))
    found = cost(path, cpu_s=120, disk_mib=350)
    assert (found.refused, found.message_count) == ("", count + 1)


@thorough
@pytest.mark.parametrize("name", ["users.json", "channels.json"])
@pytest.mark.parametrize(
    "junk",
    [b"5", b'{"id":"x"}', b"[[[]]]", b"null"],
)
def test_50_mb_of_junk_in_a_list_is_refused(tmp_path: Path, cost: Any, name: str, junk: bytes) -> None:
    rng = random.Random(4)
    piece = b"".join(junk + b" " * rng.randrange(3) + b"," for _ in range(MIB // len(junk)))

    def pieces() -> Iterator[bytes]:
        yield b"["
        for _ in range(50):
            yield piece
        yield b"0]"

    junked = packed_entry(name.encode(), pieces())
    others = [each for each in as_entries(base()) if each.name != name.encode()]
    assert cost(write_entries(tmp_path / "export.zip", [*others, junked]), cpu_s=60).refused


@thorough
def test_random_bytes_and_endless_nesting_are_refused_at_once(tmp_path: Path, cost: Any) -> None:
    rng = random.Random(5)
    for content in (rng.randbytes(50 * MIB), b"[" * 1_000_000, b"[" * 50_000_000, b'{"a":' * 5_000_000):
        for name in ("users.json", "eng/2024-01-02.json"):
            assert cost(write(tmp_path / "export.zip", base() | {name: content}), cpu_s=10).refused


def test_one_message_of_100_mb_is_refused(tmp_path: Path, cost: Any) -> None:
    rng = random.Random(6)

    def pieces(end: bytes) -> Iterator[bytes]:
        yield b'[{"type": "message", "user": "U0ADA", "ts": "1700000002.000100", "text": "'
        for _ in range(100):
            yield rng.randbytes(MIB // 2).hex().encode()
        yield end

    for end in (b'"}]', b""):
        assert "long" in cost(day(tmp_path, pieces(end)), cpu_s=20).refused


def test_bombs_cost_nothing(tmp_path: Path, cost: Any) -> None:
    zeros = b"[" + b" " * 1_000_000

    def bomb() -> Iterator[bytes]:
        for _ in range(500):
            yield zeros

    assert "far more" in cost(day(tmp_path, bomb()), cpu_s=5, disk_mib=1).refused


def test_many_small_bombs_are_no_way_around(tmp_path: Path, cost: Any) -> None:
    """Each below what is looked at, all together above any archive."""
    data = b"[" + b" " * (9 * MIB) + b"]"
    crc = zlib.crc32(data)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    many = (Entry(name.encode(), data, packed=packed, crc=crc) for name in day_names(2_000))
    found = cost(write_entries(tmp_path / "export.zip", [*as_entries(base()), *many]), cpu_s=60, disk_mib=1)
    assert found.refused
