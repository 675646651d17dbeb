"""Adapters on disk: fetched once, never half there, deleted only when nobody uses them."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from proto.artifacts import ADAPTER_WEIGHTS_FILE
from proto.errors import AdapterCorrupt, AdapterMissing
from proto.train import AdapterRef
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


async def fetch(store: AdapterStore, ref: AdapterRef, user_id: str = USER) -> None:
    async with store.pinned(ref, TEAM, user_id):
        pass


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


async def test_what_the_engine_refused_is_offered_to_nobody_and_leaves_with_its_last_user(
    store: AdapterStore, bucket: MemoryBucket, engine: EchoEngine
) -> None:
    ref = bucket.publish()
    async with store.pinned(ref, TEAM, USER) as shared:
        with pytest.raises(AdapterCorrupt, match="the engine says no"):
            async with store.pinned(ref, TEAM, USER):
                raise AdapterCorrupt("the engine says no")
        with pytest.raises(AdapterCorrupt, match="the engine says no"):
            await fetch(store, ref)
        assert (shared.lora.folder / ADAPTER_WEIGHTS_FILE).exists()
        assert engine.removed == []
    assert engine.removed == [shared.lora]
    assert not shared.lora.folder.exists()


async def test_a_broken_one_is_not_fetched_again_by_everybody_who_asks(
    store: AdapterStore, bucket: MemoryBucket
) -> None:
    ref = bucket.publish(weights=b"x" * 5000)
    for _ in range(3):
        with pytest.raises(AdapterCorrupt):
            await fetch(store, ref)
    assert len(bucket.reads) == 3


async def test_those_who_wait_for_a_broken_one_hear_of_it_too(
    store: AdapterStore, bucket: MemoryBucket
) -> None:
    ref = bucket.publish(weights=b"x" * 5000)
    outcomes = await asyncio.gather(*(fetch(store, ref) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AdapterCorrupt] * 3
    assert len(bucket.reads) == 3


async def test_who_gives_up_while_fetching_leaves_it_to_those_who_wait(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path
) -> None:
    ref = bucket.publish()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(fetch(store, ref))
        others = [group.create_task(fetch(store, ref)) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
    assert first.cancelled()
    assert all(other.exception() is None for other in others)
    assert len(list(tmp_path.iterdir())) == 1


async def test_one_larger_than_any_adapter_can_be_is_not_even_fetched(
    store: AdapterStore, bucket: MemoryBucket
) -> None:
    with pytest.raises(AdapterCorrupt, match="larger than"):
        await fetch(store, bucket.publish(size_bytes=2 * 1024**3))
    assert [key.rpartition("/")[2] for key in bucket.reads] == ["manifest.json"]


async def test_one_that_is_larger_than_its_manifest_says_is_corrupt(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path
) -> None:
    with pytest.raises(AdapterCorrupt):
        await fetch(store, bucket.publish(size_bytes=10))
    assert not list(tmp_path.iterdir())


async def test_a_file_that_somebody_tidied_away_is_fetched_again(
    store: AdapterStore, bucket: MemoryBucket
) -> None:
    ref = bucket.publish()
    async with store.pinned(ref, TEAM, USER) as first:
        pass
    (first.lora.folder / ADAPTER_WEIGHTS_FILE).unlink()
    async with store.pinned(ref, TEAM, USER) as again:
        assert (again.lora.folder / ADAPTER_WEIGHTS_FILE).exists()
    assert {first.lora.number, first.lora.name}.isdisjoint({again.lora.number, again.lora.name})


async def test_a_new_version_drains_the_old_one_and_leaves_other_people_alone(
    store: AdapterStore, bucket: MemoryBucket, engine: EchoEngine
) -> None:
    old, new, bob = bucket.publish(), bucket.publish(), bucket.publish("UBOB")
    await fetch(store, bob, "UBOB")
    async with store.pinned(old, TEAM, USER) as used:
        await store.replace(new, TEAM, USER)
        assert new in store
        assert old not in store
        assert engine.removed == []
        assert (used.lora.folder / ADAPTER_WEIGHTS_FILE).exists()
    assert engine.removed == [used.lora]
    assert not used.lora.folder.exists()
    assert bob in store


async def test_a_new_version_that_does_not_come_drains_nothing(
    store: AdapterStore, bucket: MemoryBucket
) -> None:
    old, new = bucket.publish(), bucket.publish(weights=b"x" * 5000)
    await fetch(store, old)
    with pytest.raises(AdapterCorrupt):
        await store.replace(new, TEAM, USER)
    assert old in store


@pytest.mark.parametrize("weights", [b"", b"\0" * 9, b"x" * 5000])
async def test_what_fails_the_gate_leaves_nothing_behind(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path, weights: bytes
) -> None:
    with pytest.raises(AdapterCorrupt):
        await fetch(store, bucket.publish(weights=weights))
    assert not list(tmp_path.iterdir())


async def test_a_hash_that_is_wrong_is_asked_for_once_more(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    bucket.objects[f"{ref.prefix}/{ADAPTER_WEIGHTS_FILE}"] += b"!"
    with pytest.raises(AdapterCorrupt):
        await fetch(store, ref)
    assert len([key for key in bucket.reads if key.endswith(ADAPTER_WEIGHTS_FILE)]) == 2


async def test_a_bucket_that_is_away_is_nobodys_fault(
    store: AdapterStore, bucket: MemoryBucket, tmp_path: Path
) -> None:
    ref = bucket.publish()
    bucket.away = 1
    with pytest.raises(ConnectionRefusedError):
        await fetch(store, ref)
    await fetch(store, ref)
    assert ref in store


async def test_a_manifest_that_is_gone_means_missing(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    bucket.objects.clear()
    with pytest.raises(AdapterMissing):
        await fetch(store, ref)


async def test_another_base_model_asks_for_a_new_training(store: AdapterStore, bucket: MemoryBucket) -> None:
    with pytest.raises(RetrainNeeded):
        await fetch(store, bucket.publish(base="0" * 64))


async def test_nobody_gets_another_persons_adapter(store: AdapterStore, bucket: MemoryBucket) -> None:
    ref = bucket.publish()
    with pytest.raises(AdapterMissing):
        await fetch(store, ref, "UBOB")
    moved = ref.model_copy(update={"run_id": bucket.publish().run_id})
    with pytest.raises(AdapterCorrupt):
        await fetch(store, moved)


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
