"""Prepared once, noticed when changed, refused in one sentence; fetched whole or not at all."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from doppel.basemodel.errors import BaseModelUnusable
from doppel.basemodel.fetch import BaseModelCache
from doppel.basemodel.prepare import prepare
from doppel.basemodel.source import is_hub_id, model_name
from doppel.storage import ObjectMissing, sha256_of
from proto.errors import ArtifactCorrupt, BaseModelCorrupt, BaseModelMissing

INDEX = '{"weight_map": {"a": "b.safetensors"}}'


class FolderBucket:
    """A bucket that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.puts: list[str] = []
        self.fetches: list[str] = []

    async def exists(self, key: str) -> bool:
        return (self.root / key).exists()

    async def put_file(self, key: str, path: Path) -> str:
        self.puts.append(key)
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.root / key)
        return sha256_of(path)

    async def put_model(self, key: str, body: BaseModel) -> str:
        self.puts.append(key)
        (self.root / key).write_text(body.model_dump_json())
        return sha256_of(self.root / key)

    async def get_model(self, model: type[Any], key: str, *, sha256: str | None = None) -> Any:
        if not (self.root / key).exists():
            raise ObjectMissing(key)
        return model.model_validate_json((self.root / key).read_text())

    async def fetch_resumed(
        self, key: str, sha256: str, path: Path, *, size_bytes: int, show: Callable[[int], None]
    ) -> None:
        await asyncio.sleep(0)
        self.fetches.append(key)
        if not (self.root / key).exists():
            raise ObjectMissing(key)
        if sha256_of(self.root / key) != sha256:
            raise ArtifactCorrupt(key)
        shutil.copyfile(self.root / key, path)
        show(size_bytes)


@pytest.fixture
def bucket(tmp_path: Path) -> FolderBucket:
    (tmp_path / "bucket").mkdir()
    return FolderBucket(tmp_path / "bucket")


@pytest.fixture
def source(tiny: Path, tmp_path: Path) -> str:
    """A folder of one's own with a model in it."""
    shutil.copytree(tiny, tmp_path / "My Model")
    return str(tmp_path / "My Model")


async def test_the_manifest_is_written_last_and_a_second_time_nothing_is(
    bucket: FolderBucket, source: str, tmp_path: Path
) -> None:
    first = await prepare(bucket, source, tmp_path / "work")
    assert bucket.puts[-1] == "models/My--Model/manifest.json"
    assert len(bucket.puts) == len(first.files) + 1 == 6
    assert await prepare(bucket, source, tmp_path / "work") == first
    assert len(bucket.puts) == 6


async def test_a_changed_folder_is_prepared_anew(bucket: FolderBucket, source: str, tmp_path: Path) -> None:
    first = await prepare(bucket, source, tmp_path / "work")
    with (Path(source) / "generation_config.json").open("a") as file:
        file.write(" ")
    second = await prepare(bucket, source, tmp_path / "work")
    assert second.prefix != first.prefix


async def test_a_lost_object_is_uploaded_again(bucket: FolderBucket, source: str, tmp_path: Path) -> None:
    manifest = await prepare(bucket, source, tmp_path / "work")
    (bucket.root / manifest.prefix / "config.json").unlink()
    await prepare(bucket, source, tmp_path / "work")
    assert (bucket.root / manifest.prefix / "config.json").exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), r"lacks tokenizer\.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"lacks model\.safetensors"),
        (lambda folder: (folder / "config.json").write_text("[]"), "only Llama models"),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json of the base model can't"),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "b.safetensors"}}'
            ),
            r"lacks b\.safetensors",
        ),
    ],
)
async def test_half_a_model_is_refused_in_one_sentence(
    bucket: FolderBucket, source: str, tmp_path: Path, spoil: Any, sentence: str
) -> None:
    spoil(Path(source))
    with pytest.raises(BaseModelUnusable, match=sentence):
        await prepare(bucket, source, tmp_path / "work")
    assert bucket.puts == []


@pytest.mark.parametrize("value", ["/no/such/folder", "no such thing", "a/b/c"])
async def test_what_names_no_model_is_refused_in_one_sentence(
    bucket: FolderBucket, tmp_path: Path, value: str
) -> None:
    with pytest.raises(BaseModelUnusable, match="DOPPEL_BASE_MODEL"):
        await prepare(bucket, value, tmp_path / "work")


def test_names_are_one_safe_path_part() -> None:
    assert model_name("meta-llama/Llama-3.1-8B-Instruct") == "meta-llama--Llama-3.1-8B-Instruct"
    assert model_name("/data/models/llama 8b/") == "llama--8b"
    assert model_name("../../x") == "x"
    assert is_hub_id("org/name")
    assert not is_hub_id("./org/name")
    with pytest.raises(BaseModelUnusable):
        model_name("..")


async def test_it_is_fetched_whole_and_once_however_many_ask(
    bucket: FolderBucket, source: str, tmp_path: Path
) -> None:
    manifest = await prepare(bucket, source, tmp_path / "work")
    cache = BaseModelCache(bucket, tmp_path / "cache")
    found = await asyncio.gather(*(cache.fetch(source) for _ in range(3)))
    assert len({base.folder for base in found}) == 1
    assert len(bucket.fetches) == len(manifest.files)
    assert sha256_of(found[0].folder / "model.safetensors") == manifest.file("model.safetensors").sha256
    assert seen(tmp_path / "cache") == [found[0].folder.name]


async def test_two_processes_of_one_machine_share_a_download(
    bucket: FolderBucket, source: str, tmp_path: Path
) -> None:
    manifest = await prepare(bucket, source, tmp_path / "work")
    caches = [BaseModelCache(bucket, tmp_path / "cache") for _ in range(2)]
    await asyncio.gather(*(cache.fetch(source) for cache in caches))
    assert len(bucket.fetches) == len(manifest.files)


async def test_how_far_it_is_is_told(bucket: FolderBucket, source: str, tmp_path: Path) -> None:
    manifest = await prepare(bucket, source, tmp_path / "work")
    told: list[tuple[int, int]] = []
    await BaseModelCache(bucket, tmp_path / "cache").fetch(source, report=lambda *how: told.append(how))
    assert told[0] == (0, sum(entry.size_bytes for entry in manifest.files))


def seen(folder: Path) -> list[str]:
    """What is there beside hidden files."""
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


async def test_a_truncated_file_on_disk_is_fetched_again(
    bucket: FolderBucket, source: str, tmp_path: Path
) -> None:
    await prepare(bucket, source, tmp_path / "work")
    base = await BaseModelCache(bucket, tmp_path / "cache").fetch(source)
    (base.folder / "model.safetensors").write_bytes(b"short")
    again = await BaseModelCache(bucket, tmp_path / "cache").fetch(source)
    assert (again.folder / "model.safetensors").stat().st_size > 1_000_000


async def test_a_model_that_is_not_there_is_missing(bucket: FolderBucket, tmp_path: Path) -> None:
    with pytest.raises(BaseModelMissing, match="doppel setup"):
        await BaseModelCache(bucket, tmp_path / "cache").fetch("tiny")


async def test_a_damaged_object_is_corrupt_and_once_repaired_only_it_is_fetched_again(
    bucket: FolderBucket, source: str, tmp_path: Path
) -> None:
    manifest = await prepare(bucket, source, tmp_path / "work")
    damaged = bucket.root / manifest.prefix / "config.json"
    sound = damaged.read_bytes()
    damaged.write_text("{}")
    for _ in range(2):
        with pytest.raises(BaseModelCorrupt):
            await BaseModelCache(bucket, tmp_path / "cache").fetch(source)
    assert seen(tmp_path / "cache") == []
    damaged.write_bytes(sound)
    before = len(bucket.fetches)
    base = await BaseModelCache(bucket, tmp_path / "cache").fetch(source)
    assert base.folder.is_dir()
    assert {key.rpartition("/")[2] for key in bucket.fetches[before:]} >= {"config.json"}
    assert len(bucket.fetches) - before < len(manifest.files)
