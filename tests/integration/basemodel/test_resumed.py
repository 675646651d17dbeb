"""Large objects that go on where an earlier try stopped, from a real bucket."""

import asyncio
import os
from pathlib import Path

import pytest

from doppel.storage import ObjectMissing, Storage
from proto.artifacts import BaseModelManifest
from proto.errors import ArtifactCorrupt

KEY = "models/test/weights.bin"
SIZE = 5 * 1024 * 1024
HALF = 2 * 1024 * 1024 + 7


@pytest.fixture
async def stored(storage: Storage) -> tuple[bytes, str]:
    data = os.urandom(SIZE)
    return data, await storage.put_bytes(KEY, data)


async def test_what_is_there_is_not_fetched_again(
    storage: Storage, stored: tuple[bytes, str], tmp_path: Path
) -> None:
    data, sha256 = stored
    (tmp_path / "weights.bin.part").write_bytes(data[:HALF])
    came: list[int] = []
    await storage.fetch_resumed(KEY, sha256, tmp_path / "weights.bin", size_bytes=SIZE, show=came.append)
    assert (tmp_path / "weights.bin").read_bytes() == data
    assert came[0] == HALF
    assert sum(came) == SIZE


async def test_a_whole_one_that_was_not_renamed_is_only_hashed(
    storage: Storage, stored: tuple[bytes, str], tmp_path: Path
) -> None:
    data, sha256 = stored
    (tmp_path / "weights.bin.part").write_bytes(data)
    await storage.fetch_resumed(KEY, sha256, tmp_path / "weights.bin", size_bytes=SIZE)
    assert (tmp_path / "weights.bin").read_bytes() == data


@pytest.mark.parametrize("left", [b"x" * HALF, b"x" * (SIZE + 1)])
async def test_damaged_leftovers_are_found_out_and_the_next_try_begins_anew(
    storage: Storage, stored: tuple[bytes, str], tmp_path: Path, left: bytes
) -> None:
    data, sha256 = stored
    (tmp_path / "weights.bin.part").write_bytes(left)
    with pytest.raises(ArtifactCorrupt):
        await storage.fetch_resumed(KEY, sha256, tmp_path / "weights.bin", size_bytes=SIZE)
    assert not list(tmp_path.iterdir())
    await storage.fetch_resumed(KEY, sha256, tmp_path / "weights.bin", size_bytes=SIZE)
    assert (tmp_path / "weights.bin").read_bytes() == data


async def test_one_that_is_longer_than_said_is_corrupt(
    storage: Storage, stored: tuple[bytes, str], tmp_path: Path
) -> None:
    with pytest.raises(ArtifactCorrupt):
        await storage.fetch_resumed(KEY, stored[1], tmp_path / "weights.bin", size_bytes=HALF)


async def test_one_that_is_not_there_is_missing(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing):
        await storage.fetch_resumed("models/none", "0" * 64, tmp_path / "weights.bin", size_bytes=1)


async def test_a_try_that_is_broken_off_never_writes_beside_the_next(
    storage: Storage, tiny_base: BaseModelManifest, tmp_path: Path
) -> None:
    entry = tiny_base.file("model.safetensors")
    key, path = f"{tiny_base.prefix}/{entry.name}", tmp_path / entry.name
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def show(_: int) -> None:
        loop.call_soon_threadsafe(begun.set)

    first = asyncio.ensure_future(
        storage.fetch_resumed(key, entry.sha256, path, size_bytes=entry.size_bytes, show=show)
    )
    await begun.wait()
    first.cancel()
    async with asyncio.timeout(30):
        while not path.exists():
            try:
                await storage.fetch_resumed(key, entry.sha256, path, size_bytes=entry.size_bytes)
            except TimeoutError:
                await asyncio.sleep(0.01)
    assert path.stat().st_size == entry.size_bytes
