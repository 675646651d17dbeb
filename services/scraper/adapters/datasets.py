"""One person's dataset: cut from the shards of a corpus (blocking), stored with its manifest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from uuid import UUID

from doppel.storage import Storage
from proto.artifacts import SPLITS, CorpusManifest, DatasetManifest, FileEntry, manifest_key, split_file
from proto.conversation import Message, Person, Sample
from proto.errors import DatasetTooSmall
from proto.scrape import SampleCounts
from services.scraper.adapters.shards import read_lines, write_lines
from services.scraper.adapters.work import Work
from services.scraper.core.people import names_of
from services.scraper.core.samples import Cutter, Newest, Shape
from services.scraper.core.segment import split_conversations
from services.scraper.core.split import split_samples


@dataclass(frozen=True)
class Rules:
    """How a dataset is cut."""

    shape: Shape
    min_samples: int
    max_samples: int
    seed: int


@dataclass(frozen=True)
class Cut:
    """A dataset on disk."""

    folder: Path
    files: tuple[FileEntry, ...]
    samples: SampleCounts
    dropped: dict[str, int] = field(default_factory=dict[str, int])


def cut_dataset(
    shards: Sequence[Path],
    manifest: CorpusManifest,
    people: Sequence[Person],
    user_id: str,
    rules: Rules,
    folder: Path,
    work: Work,
) -> Cut:
    """Cut and split; the same corpus and rules give the same bytes. Raises DatasetTooSmall, Stopped."""
    cutter = Cutter(user_id, names_of(people), rules.shape)
    newest = Newest(rules.max_samples)
    work.enter("cutting", total=manifest.message_count)
    by_channel = groupby(zip(manifest.shards, shards, strict=True), key=lambda pair: pair[0].channel_id)
    for _, pairs in by_channel:
        messages = (message for _, path in pairs for message in _counted(path, work))
        for conversation in split_conversations(messages):
            newest.add(conversation.key, list(cutter.cut(conversation)))
    newest.prune()
    dropped = cutter.dropped + Counter({"over_cap": newest.dropped})
    total = sum(len(samples) for samples in newest.groups.values())
    if total < rules.min_samples:
        raise DatasetTooSmall(user_id, total, rules.min_samples)
    chosen = split_samples(newest.groups, rules.seed)
    files = tuple(
        write_lines(folder / split_file(split), split_file(split), map(_line, chosen[split]))
        for split in SPLITS
    )
    counts = SampleCounts(**{split: len(chosen[split]) for split in SPLITS})
    return Cut(folder, files, counts, dict(sorted(dropped.items())))


async def store_dataset(
    storage: Storage,
    prefix: str,
    cut: Cut,
    *,
    dataset_id: UUID,
    corpus: CorpusManifest,
    person: Person,
    seed: int,
    created_at: datetime,
) -> str:
    """Upload a dataset; returns the manifest's SHA-256, which the row will name."""
    for entry in cut.files:
        await storage.put_file(f"{prefix}/{entry.name}", cut.folder / entry.name)
    manifest = DatasetManifest(
        created_at=created_at,
        files=cut.files,
        dataset_id=dataset_id,
        team_id=corpus.team_id,
        user_id=person.user_id,
        corpus_id=corpus.corpus_id,
        source=corpus.source,
        person=person,
        samples=cut.samples,
        dropped=cut.dropped,
        seed=seed,
    )
    return await storage.put_model(manifest_key(prefix), manifest)


def _counted(path: Path, work: Work):
    for message in read_lines(path, Message):
        work.advance()
        yield message


def _line(sample: Sample) -> bytes:
    return sample.model_dump_json().encode()
