"""Histories → the shards of a corpus, on disk. Blocking: runs in a thread of `work.Threads`."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from doppel.storage import sha256_of
from proto.artifacts import PEOPLE_FILE, FileEntry, ShardEntry
from proto.conversation import Message, Person
from services.scraper.adapters.export_zip import ExportZip
from services.scraper.adapters.gathering import Gathering
from services.scraper.adapters.shards import read_lines, write_lines
from services.scraper.adapters.work import Work
from services.scraper.core.normalise import Deleted, Dropped, Outcome, Said, normalise
from services.scraper.core.people import names_of
from services.scraper.core.source import TsWindow

SHARD_MESSAGES: Final = 100_000
_PEOPLE: TypeAdapter[list[Person]] = TypeAdapter(list[Person])


@dataclass(frozen=True)
class Built:
    """A corpus on disk, ready to be stored: every file lies in `folder` under its last name part."""

    folder: Path
    people: FileEntry
    person_count: int
    channels: dict[str, str] = field(repr=False)
    shards: tuple[ShardEntry, ...]
    dropped: dict[str, int]

    @property
    def content_sha256(self) -> str:
        """What the corpus says, whoever read it and when: two with the same are one."""
        digest = hashlib.sha256()
        for entry in (self.people, *self.shards):
            digest.update(f"{entry.name} {entry.sha256}\n".encode())
        return digest.hexdigest()

    @property
    def message_count(self) -> int:
        """All of them."""
        return sum(shard.message_count for shard in self.shards)

    @property
    def channel_count(self) -> int:
        """Channels that hold messages."""
        return len({shard.channel_id for shard in self.shards})


def build_from_export(path: Path, team_id: str, window: TsWindow, folder: Path, work: Work) -> Built:
    """Read an export ZIP. Raises ExportInvalid, Stopped."""
    with ExportZip(path, team_id) as export, Gathering(folder / "gathering.sqlite") as gathering:
        names = names_of(export.people) | export.channels
        dropped: Counter[str] = Counter()
        work.channel_count = len(export.channels)
        for channel_id, raw in export.messages():
            work.advance()
            match normalise(raw, channel_id, names):
                case Said(message, edited_ts) if window.holds(message.ts):
                    gathering.add(message, edited_ts)
                case Said():
                    dropped["outside_window"] += 1
                case Deleted(ts):
                    gathering.remove(channel_id, ts)
                case Dropped(reason):
                    dropped[reason] += 1
        work.channels_done = work.channel_count
        return _write(gathering, export.people, export.channels, folder, dropped, work)


def build_from_outcomes(
    outcomes: Iterable[tuple[str, Outcome]],
    people: list[Person],
    channels: dict[str, str],
    folder: Path,
    work: Work,
) -> Built:
    """Join what any source made of its messages: ``(channel id, outcome)`` in any order, copies allowed.

    Of two copies the later edited one stays; a deletion removes every copy. Raises Stopped.
    """
    dropped: Counter[str] = Counter()
    with Gathering(folder / "gathering.sqlite") as gathering:
        for channel_id, outcome in outcomes:
            work.advance()
            match outcome:
                case Said(message, edited_ts):
                    gathering.add(message, edited_ts)
                case Deleted(ts):
                    gathering.remove(channel_id, ts)
                case Dropped(reason):
                    dropped[reason] += 1
        return _write(gathering, people, channels, folder, dropped, work)


def build_from_pages(
    pages: Iterable[Path], people: list[Person], channels: dict[str, str], folder: Path, work: Work
) -> Built:
    """Join the pages that were read through the API. Raises ArtifactCorrupt, Stopped."""
    with Gathering(folder / "gathering.sqlite") as gathering:
        for page in pages:
            for message in read_lines(page, Message):
                gathering.add(message)
        return _write(gathering, people, channels, folder, Counter(), work)


def _write(
    gathering: Gathering,
    people: list[Person],
    channels: dict[str, str],
    folder: Path,
    dropped: Counter[str],
    work: Work,
) -> Built:
    work.enter("writing", total=work.step)
    shards: list[ShardEntry] = []
    for channel_id in gathering.channels():
        lines = gathering.lines(channel_id)
        number = 0
        while shard := _shard(lines, folder, channel_id, number, work):
            shards.append(shard)
            number += 1
    written = folder / PEOPLE_FILE
    written.write_bytes(_PEOPLE.dump_json(people))
    return Built(
        folder=folder,
        people=_entry_of(written, PEOPLE_FILE),
        person_count=len(people),
        channels=channels,
        shards=tuple(shards),
        dropped=dict(dropped),
    )


def _shard(
    lines: Iterator[tuple[str, bytes]], folder: Path, channel_id: str, number: int, work: Work
) -> ShardEntry | None:
    """The next shard of a channel, or None at its end."""
    first = next(lines, None)
    if first is None:
        return None
    oldest = latest = first[0]
    count = 0

    def bodies() -> Iterator[bytes]:
        nonlocal oldest, latest, count
        yield first[1]
        count = 1
        for key, body in islice(lines, SHARD_MESSAGES - 1):
            oldest, latest = min(oldest, key), max(latest, key)
            count += 1
            work.advance()
            yield body

    name = f"{channel_id}-{number:04d}.jsonl.zst"
    entry = write_lines(folder / name, f"shards/{name}", bodies())
    return ShardEntry(
        **entry.model_dump(),
        channel_id=channel_id,
        message_count=count,
        oldest_ts=_short(oldest),
        latest_ts=_short(latest),
    )


def _short(key: str) -> str:
    """A sort key back as a timestamp of Slack's usual form."""
    seconds, _, fraction = key.partition(".")
    return f"{int(seconds)}.{fraction[:6]}"


def _entry_of(path: Path, name: str) -> FileEntry:
    return FileEntry(name=name, size_bytes=path.stat().st_size, sha256=sha256_of(path))
