"""What lies in the bucket of one dataset: manifest, card, page, samples. Everything is checked by hash."""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from doppel.cli.target import Target
from doppel.cli.terminal import Failure
from doppel.storage import ObjectMissing, Storage
from proto.artifacts import SPLITS, DatasetManifest, Split, manifest_key, split_file
from proto.conversation import Sample
from proto.dataset import DATASET_CARD_FILE, DATASET_PAGE_FILE, DatasetCard
from proto.errors import ArtifactCorrupt, DatasetMissing

LINE_LIMIT: Final = 1024 * 1024
_LIST: Final = """
    select d.dataset_id, d.team_id, d.user_id, coalesce(p.name, '') as name, d.train_count, d.validation_count,
           d.test_count, d.content_sha256, d.summary, d.created_at
    from scraper.datasets d left join gateway.personas p using (team_id, user_id)
    where $1::text is null or d.team_id = $1 order by d.created_at desc limit $2"""


async def list_datasets(target: Target, team_id: str | None, most: int) -> list[dict[str, Any]]:
    """The newest datasets, as rows."""
    return [dict(row) for row in await _query(target, _LIST, team_id, most)]


async def only_team(target: Target) -> str:
    """The one workspace that has datasets. Raises Failure where there are none or several."""
    rows = await _query(target, "select distinct team_id from scraper.datasets order by 1 limit 10")
    teams = [row["team_id"] for row in rows]
    if len(teams) == 1:
        return teams[0]
    if not teams:
        raise Failure("There is no dataset yet. `doppel train` cuts one.", code="dataset_missing")
    raise Failure(f"Datasets of {', '.join(teams)} are here. Say which with --team.", code="ambiguous")


@dataclass(frozen=True)
class Dataset:
    """One committed dataset."""

    prefix: str
    manifest: DatasetManifest
    storage: Storage

    async def card(self) -> DatasetCard | None:
        """Its numbers; None: cut before there were cards."""
        data = await self._read(DATASET_CARD_FILE)
        return None if data is None else DatasetCard.model_validate_json(data)

    async def page(self) -> bytes | None:
        """Its page with plots."""
        return await self._read(DATASET_PAGE_FILE)

    async def samples(self, count: int) -> list[tuple[Split, Sample]]:
        """So many samples, evenly spread over all of it in the order of time."""
        total = self.manifest.samples.total
        wanted = {i * total // count for i in range(count)} if 0 < count < total else set(range(total))
        chosen: list[tuple[Split, Sample]] = []
        first = 0
        with tempfile.TemporaryDirectory(prefix="doppel-dataset-") as folder:
            for split in SPLITS:
                entry = self.manifest.file(split_file(split))
                path = Path(folder) / entry.name
                await self.storage.fetch_verified(f"{self.prefix}/{entry.name}", entry.sha256, path)
                for place, line in enumerate(_lines(path), start=first):
                    if place in wanted:
                        chosen.append((split, Sample.model_validate_json(line)))
                    first = place + 1
        return chosen

    async def _read(self, name: str) -> bytes | None:
        try:
            entry = self.manifest.file(name)
        except KeyError:
            return None
        return await self.storage.get_bytes(f"{self.prefix}/{name}", sha256=entry.sha256)


async def newest_dataset(target: Target, storage: Storage, team_id: str, user_id: str) -> Dataset:
    """A person's newest. Raises DatasetMissing, ArtifactCorrupt."""
    rows = await _query(
        target,
        """select prefix, manifest_sha256 from scraper.datasets where team_id = $1 and user_id = $2
           order by created_at desc limit 1""",
        team_id,
        user_id,
    )
    if not rows:
        raise DatasetMissing(user_id)
    prefix: str = rows[0]["prefix"].rstrip("/")
    try:
        manifest = await storage.get_model(
            DatasetManifest, manifest_key(prefix), sha256=rows[0]["manifest_sha256"]
        )
    except ObjectMissing as error:
        raise ArtifactCorrupt("the dataset's manifest") from error
    return Dataset(prefix, manifest, storage)


async def _query(target: Target, sql: str, *values: Any) -> "list[asyncpg.Record]":
    async with target.reading() as connection:
        return await connection.fetch(sql, *values)


def _lines(path: Path) -> Iterator[str]:
    """Decompress line by line. Needs `zstandard`, which only looking into samples does."""
    import zstandard

    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as plain:
        text = io.TextIOWrapper(plain, encoding="utf-8", newline="\n")
        while line := text.readline(LINE_LIMIT):
            yield line
