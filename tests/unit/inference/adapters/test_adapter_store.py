"""Adapters on disk: fetched once, never half there, deleted only when nobody uses them."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from proto.artifacts import ADAPTER_WEIGHTS_FILE
from proto.errors import AdapterCorrupt, AdapterMissing
from services.inference.adapters.adapter_store import AdapterStore, BaseIdentity, RetrainNeeded, own_folder
from tests.unit.inference.making import BASE_SHA256, SHAPE, TEAM, USER, EchoEngine, MemoryBucket

SIZE = 800  # of one adapter, about


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def engine() -> EchoEngine:
    return EchoEngine()


@pytest.fixture
def store(bucket: MemoryBucket, engine: EchoEngine, tmp_path: Path) -> AdapterStore:
    return make_store(bucket, engine, tmp_path, limit_bytes=10 * SIZE)


def make_store(bucket: MemoryBucket, engine: EchoEngine, folder: Path, *, limit_bytes: int) -> AdapterStore:
    identity = BaseIdentity(BASE_SHA256, SHAPE)
    return AdapterStore(
        bucket, engine, identity, folder, max_rank=8, limit_bytes=limit_bytes, registry=CollectorRegistry()
    )


async def test_asks_at_the_same_time_share_one_download(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()

    async def use() -> Path:
        async with store.pinned(ref, TEAM, USER) as adapter:
            return adapter.lora.folder

    folders = await asyncio.gather(*(use() for _ in range(5)))
    assert len(set(folders)) == 1
    assert len(bucket.reads) == 3


async def test_the_least_recently_used_leaves_and_comes_back_as_another_one(
    bucket: MemoryBucket, engine: EchoEngine, tmp_path: Path
) -> None:
    store = make_store(bucket, engine, tmp_path, limit_bytes=SIZE)
    first, second = bucket.publish(), bucket.publish()
    loras = []
    for ref in (first, second, first):
        async with store.pinned(ref, TEAM, USER) as adapter:
            loras.append(adapter.lora)
    assert [lora.number for lora in engine.removed] == [loras[0].number, loras[1].number]
    assert len({lora.number for lora in loras}) == len({lora.name for lora in loras}) == 3
    assert [path.name for path in tmp_path.iterdir()] == [loras[2].folder.name]


async def test_who_is_in_use_stays_on_disk_above_the_limit(
    bucket: MemoryBucket, engine: EchoEngine, tmp_path: Path
) -> None:
    store = make_store(bucket, engine, tmp_path, limit_bytes=1)
    async with store.pinned(bucket.publish(), TEAM, USER) as used:
        async with store.pinned(bucket.publish(), TEAM, USER):
            pass
        assert (used.lora.folder / ADAPTER_WEIGHTS_FILE).exists()
    assert not list(tmp_path.iterdir())


async def test_what_the_engine_refused_is_fetched_afresh(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    with pytest.raises(AdapterCorrupt):
        async with store.pinned(ref, TEAM, USER) as refused:
            raise AdapterCorrupt("the engine says no")
    async with store.pinned(ref, TEAM, USER) as again:
        assert again.lora.number != refused.lora.number


@pytest.mark.parametrize("weights", [b"", b"\0" * 9, b"x" * 5000])
async def test_what_fails_the_gate_leaves_nothing_behind(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path, weights: bytes
) -> None:
    with pytest.raises(AdapterCorrupt):
        await store.fetch(bucket.publish(weights=weights), TEAM, USER)
    assert not list(tmp_path.iterdir())


async def test_a_hash_that_is_wrong_is_asked_for_once_more(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    bucket.objects[f"{ref.prefix}/{ADAPTER_WEIGHTS_FILE}"] += b"!"
    with pytest.raises(AdapterCorrupt):
        await store.fetch(ref, TEAM, USER)
    assert len([key for key in bucket.reads if key.endswith(ADAPTER_WEIGHTS_FILE)]) == 2


async def test_a_bucket_that_is_away_is_nobodys_fault(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path
) -> None:
    ref = bucket.publish()
    bucket.away = 1
    with pytest.raises(ConnectionRefusedError):
        await store.fetch(ref, TEAM, USER)
    await store.fetch(ref, TEAM, USER)
    assert ref in store


async def test_a_manifest_that_is_gone_means_missing(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    bucket.objects.clear()
    with pytest.raises(AdapterMissing):
        await store.fetch(ref, TEAM, USER)


async def test_another_base_model_asks_for_a_new_training(store: AdapterStore, bucket: MemoryBucket) -> None:
    with pytest.raises(RetrainNeeded):
        await store.fetch(bucket.publish(base="0" * 64), TEAM, USER)


async def test_nobody_gets_another_persons_adapter(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    with pytest.raises(AdapterMissing):
        await store.fetch(ref, TEAM, "UBOB")
    moved = ref.model_copy(update={"run_id": bucket.publish().run_id})
    with pytest.raises(AdapterCorrupt):
        await store.fetch(moved, TEAM, USER)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    left = tmp_path / "1-dead"
    left.mkdir()
    (left / "file").touch()
    (tmp_path / "1-dead.lock").touch()
    with own_folder(tmp_path) as mine, own_folder(tmp_path) as other:
        assert not left.exists()
        assert mine.is_dir()
        assert other.is_dir()
    assert not list(tmp_path.iterdir())
