"""The tests' base model through a real bucket: prepared once, fetched whole."""

import asyncio
from pathlib import Path

from doppel.basemodel.fetch import BaseModelCache
from doppel.basemodel.prepare import prepare
from doppel.basemodel.prompt import PromptEncoder
from doppel.storage import Storage, sha256_of
from proto.artifacts import BaseModelManifest


async def test_it_is_prepared_once_and_fetched_whole(
    storage: Storage, tiny_base: BaseModelManifest, tmp_path: Path
) -> None:
    reported: list[str] = []
    again = await prepare(storage, "tiny", tmp_path / "work", report=lambda what, *_: reported.append(what))
    assert again == tiny_base
    assert reported == ["reading the base model"]

    base = await BaseModelCache(storage, tmp_path / "cache").fetch("tiny")

    assert base.manifest == tiny_base
    for entry in tiny_base.files:
        assert await asyncio.to_thread(sha256_of, base.folder / entry.name) == entry.sha256
    assert PromptEncoder.from_folder(base.folder).encode_text("hi")
