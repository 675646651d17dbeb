"""One person's dataset: cut from the shards of a corpus (blocking), stored with its card and manifest.

Two steps, in bounded memory. Reading leaves the person's answers, each with what it answers, in a file, and of each a
place in it. Then the newest are chosen, split, redacted, measured and written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final
from uuid import UUID

from doppel.storage import Storage
from proto.artifacts import (
    SPLITS,
    CorpusManifest,
    DatasetManifest,
    FileEntry,
    Split,
    manifest_key,
    split_file,
)
from proto.conversation import Person
from proto.dataset import DATASET_CARD_FILE, DATASET_PAGE_FILE, DatasetCard, DatasetSettings
from proto.errors import DatasetTooSmall
from proto.scrape import SampleCounts
from services.scraper.adapters.card_page import render_page
from services.scraper.adapters.reading import holds, read_said
from services.scraper.adapters.shards import write_lines
from services.scraper.adapters.spill import Spill
from services.scraper.adapters.work import Work
from services.scraper.core.card import Tally
from services.scraper.core.people import names_of
from services.scraper.core.redact import Redactor
from services.scraper.core.rendering import Rendered, Renderer, Tokens
from services.scraper.core.replies import Channel, Directory
from services.scraper.core.samples import Cutter, Shape
from services.scraper.core.segment import Placer, split_conversations
from services.scraper.core.selection import SLACK, Entry, Newest, select
from services.scraper.core.split import split_entries
from services.scraper.core.timestamps import ts_key

TOGETHER: Final = 128  # samples that are tokenised at once


@dataclass(frozen=True)
class Order:
    """Whose dataset, and how it is cut."""

    person: Person
    settings: DatasetSettings
    min_samples: int
    opted_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Cut:
    """A dataset on disk."""

    folder: Path
    files: tuple[FileEntry, ...]
    samples: SampleCounts
    card: DatasetCard
    people: frozenset[str] = frozenset()  # whose words are in it as context

    @property
    def dropped(self) -> dict[str, int]:
        """Reason → messages left out."""
        return self.card.summary.dropped


def cut_dataset(
    shards: Sequence[Path],
    manifest: CorpusManifest,
    people: Sequence[Person],
    order: Order,
    tokens: Tokens,
    folder: Path,
    work: Work,
    *,
    placer: Callable[[Directory], Placer] = Channel,
) -> Cut:
    """Cut and split; the same corpus and order give the same bytes. `placer`: who answers whom outside of threads.

    Raises DatasetTooSmall, ArtifactCorrupt, Stopped.
    """
    work.enter("cutting", total=manifest.message_count)
    settings = order.settings
    shape = Shape(settings.min_characters, settings.context_messages, _oldest_key(manifest, settings.days))
    cutter = Cutter(order.person.user_id, shape, order.opted_out)
    renderer = Renderer(
        order.person.user_id,
        names_of(people),
        frozenset(each.name for each in people if each.user_id in order.opted_out),
        Redactor(settings.phone_regions),
        tokens,
        settings.context_tokens,
    )
    directory = Directory.of(people)
    with Spill(folder / "candidates") as spill:
        entries, over = _read(shards, manifest, lambda: placer(directory), cutter, settings, spill, work)
        read = spill.reader()

        def answer_of(entry: Entry) -> str:
            work.advance(0)
            return renderer.answer(read(entry))

        chosen, left_out = select(
            entries, answer_of, max_samples=settings.max_samples, channel_samples=settings.channel_samples
        )
        dropped = cutter.dropped + left_out + over
        splits = split_entries(chosen)
        total = sum(map(len, splits.values()))
        if total < order.min_samples:
            raise DatasetTooSmall(order.person.user_id, len(chosen), order.min_samples, dropped)
        tally = Tally()
        heard: set[str] = set()

        def lines(split: Split) -> Iterator[bytes]:
            for first in range(0, len(splits[split]), TOGETHER):
                work.advance(0)
                batch = splits[split][first : first + TOGETHER]
                candidates = [read(entry) for entry in batch]
                heard.update(said.user_id for each in candidates for said in each.context if said.user_id)
                for rendered in renderer.render(candidates):
                    tally.add(split, rendered)
                    yield _line(rendered)

        files = tuple(
            write_lines(folder / split_file(split), split_file(split), lines(split)) for split in SPLITS
        )
    card = tally.card(content_sha256(files, settings), settings, dropped, manifest.channels)
    counts = SampleCounts(**{split: len(splits[split]) for split in SPLITS})
    return Cut(
        folder, (*files, *_write_card(card, order.person.name, folder)), counts, card, frozenset(heard)
    )


def content_sha256(splits: Sequence[FileEntry], settings: DatasetSettings) -> str:
    """One hash for what a dataset says: no ids and no dates are in it."""
    content = {
        "files": {entry.name: entry.sha256 for entry in splits},
        "settings": settings.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def store_dataset(
    storage: Storage,
    prefix: str,
    cut: Cut,
    order: Order,
    *,
    dataset_id: UUID,
    corpus: CorpusManifest,
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
        user_id=order.person.user_id,
        corpus_id=corpus.corpus_id,
        source=corpus.source,
        person=order.person,
        samples=cut.samples,
        dropped=cut.dropped,
        content_sha256=cut.card.content_sha256,
        settings=order.settings,
        summary=cut.card.summary,
        opted_out_count=len(order.opted_out),
    )
    return await storage.put_model(manifest_key(prefix), manifest)


def _read(
    shards: Sequence[Path],
    manifest: CorpusManifest,
    placer: Callable[[], Placer],
    cutter: Cutter,
    settings: DatasetSettings,
    spill: Spill,
    work: Work,
) -> tuple[list[Entry], Counter[str]]:
    """Channel by channel: a shard's place in the manifest is its place in time, whoever wrote it and when."""
    newest = Newest(SLACK * settings.max_samples)
    over_channel = 0
    by_channel = groupby(zip(manifest.shards, shards, strict=True), key=lambda pair: pair[0].channel_id)
    for _, pairs in by_channel:
        here = list(pairs)
        paths = [path for _, path in here]
        if not holds(paths, cutter.user_id):
            work.advance(sum(shard.message_count for shard, _ in here))
            continue
        of_channel = Newest(SLACK * settings.channel_samples)
        for conversation in split_conversations(read_said(paths, work), placer()):
            of_channel.add(spill.write(cutter.cut(conversation)))
        of_channel.prune()
        over_channel += of_channel.dropped
        newest.add(of_channel.entries)
    newest.prune()
    return newest.entries, Counter(over_cap=newest.dropped, over_channel_cap=over_channel)


def _oldest_key(manifest: CorpusManifest, days: int) -> str:
    """So many days before the corpus's last message: a clock would make each cut another one."""
    latest = [shard.latest_ts for shard in manifest.shards if shard.latest_ts]
    if not days or not latest:
        return ""
    seconds, _, fraction = max(latest, key=ts_key).partition(".")
    return ts_key(f"{max(0, int(seconds) - days * 86_400)}.{fraction}")


def _write_card(card: DatasetCard, name: str, folder: Path) -> tuple[FileEntry, ...]:
    texts = {DATASET_CARD_FILE: card.model_dump_json(indent=1), DATASET_PAGE_FILE: render_page(card, name)}
    return tuple(_write(folder, file_name, text.encode()) for file_name, text in texts.items())


def _write(folder: Path, name: str, data: bytes) -> FileEntry:
    (folder / name).write_bytes(data)
    return FileEntry(name=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _line(rendered: Rendered) -> bytes:
    return rendered.sample.model_dump_json(exclude_none=True).encode()
