"""A large file on its way into a real S3: it goes on where it stopped, and is whole or not there."""

import asyncio
import hashlib
import os
from pathlib import Path
from uuid import uuid4

import pytest

from doppel.storage import Storage, sha256_of
from doppel.uploads import PART_BYTES, FileChanged, Uploads, plan_pieces

SIZE = 3 * PART_BYTES + 12_345


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.zip"
    path.write_bytes(os.urandom(SIZE))
    return path


def new_key() -> str:
    return f"workspaces/T1/exports/{uuid4().hex}.zip"


async def stopped_midway(uploads: Uploads, key: str, path: Path) -> None:
    """As a kill would: some parts are there, nothing is ended."""
    begun = asyncio.Event()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(uploads.put(key, path, show=lambda _: begun.set()))
        await begun.wait()
        task.cancel()


async def test_a_file_arrives_whole_and_nothing_is_left_over(
    storage: Storage, file: Path, tmp_path: Path
) -> None:
    key, shown = new_key(), list[int]()
    await Uploads(storage).put(key, file, show=shown.append)
    await storage.fetch_verified(key, sha256_of(file), tmp_path / "back")
    assert shown == sorted(shown)
    assert shown[-1] == SIZE
    assert await Uploads(storage).unfinished(key) == []


async def test_a_stopped_upload_goes_on_and_sends_only_what_is_missing(
    storage: Storage, file: Path, tmp_path: Path
) -> None:
    key, uploads = new_key(), Uploads(storage)
    await stopped_midway(uploads, key, file)
    assert not await storage.exists(key)
    begun = await uploads.unfinished(key)
    assert len(begun) == 1
    before = await uploads.parts(key, begun[0].upload_id)
    assert before

    await uploads.put(key, file)

    await storage.fetch_verified(key, sha256_of(file), tmp_path / "back")
    assert await uploads.unfinished(key) == []


async def test_a_part_that_is_not_the_files_is_sent_again(
    storage: Storage, file: Path, tmp_path: Path
) -> None:
    key, uploads = new_key(), Uploads(storage)
    await stopped_midway(uploads, key, file)
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)

    await uploads.put(key, file)

    await storage.fetch_verified(key, hashlib.sha256(data).hexdigest(), tmp_path / "back")


async def test_a_file_that_changes_under_way_is_not_stored(storage: Storage, file: Path) -> None:
    key = new_key()
    with pytest.raises(FileChanged):
        await Uploads(storage).put(key, file, show=lambda _: os.utime(file, (1, 1)))
    assert not await storage.exists(key)
    assert await Uploads(storage).unfinished(key) == []


async def test_what_is_whole_already_is_not_sent_again(storage: Storage, file: Path) -> None:
    key, shown = new_key(), list[int]()
    await Uploads(storage).put(key, file)
    await Uploads(storage).put(key, file, show=shown.append)
    assert shown == [SIZE]


def test_a_file_is_cut_alike_each_time_whatever_its_size() -> None:
    for size in (1, PART_BYTES, SIZE, 500 * 1024**3):
        pieces = plan_pieces(size)
        assert pieces == plan_pieces(size)
        assert sum(piece.size_bytes for piece in pieces) == size
        assert len(pieces) <= 10_000
