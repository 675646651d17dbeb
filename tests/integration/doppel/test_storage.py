"""Artifacts on a real S3: whole and right, or not at all."""

from pathlib import Path
from uuid import uuid4

import pytest

from doppel.storage import ObjectMissing, Storage, sha256_of
from proto.errors import ArtifactCorrupt


async def test_a_file_comes_back_verified(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "deep" / "out"
    source.write_bytes(b"x" * 7_000_000)
    key = f"workspaces/T1/test/{uuid4()}"
    sha256 = await storage.put_file(key, source)
    await storage.fetch_verified(key, sha256, target)
    assert sha256_of(target) == sha256
    assert list(target.parent.iterdir()) == [target]


async def test_a_wrong_hash_leaves_no_file(storage: Storage, tmp_path: Path) -> None:
    key = f"workspaces/T1/test/{uuid4()}"
    await storage.put_bytes(key, b"not what the manifest says")
    with pytest.raises(ArtifactCorrupt):
        await storage.fetch_verified(key, "0" * 64, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


async def test_what_is_missing_is_named_so(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing):
        await storage.get_bytes(f"workspaces/T1/{uuid4()}")
    with pytest.raises(ObjectMissing):
        await storage.fetch_verified(f"workspaces/T1/{uuid4()}", "0" * 64, tmp_path / "out")
    assert not await storage.exists(f"workspaces/T1/{uuid4()}")


async def test_an_object_beyond_its_limit_is_refused(storage: Storage) -> None:
    key = f"workspaces/T1/test/{uuid4()}"
    await storage.put_bytes(key, b"x" * 100)
    with pytest.raises(ArtifactCorrupt):
        await storage.get_bytes(key, limit_bytes=10)


async def test_a_prefix_is_listed_and_deleted(storage: Storage) -> None:
    prefix = f"workspaces/T1/test/{uuid4()}"
    for n in range(3):
        await storage.put_bytes(f"{prefix}/{n}", b"x")
    keys = await storage.list_keys(prefix)
    assert len(keys) == 3
    await storage.delete(keys)
    assert await storage.list_keys(prefix) == []
    await storage.delete(keys)  # gone is gone
