"""Histories → the shards of a corpus, on disk. Blocking: runs in a thread of `work.Threads`."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from doppel.storage import sha256_of
from proto.artifacts import PEOPLE_FILE, FileEntry, ShardEntry
from proto.conversation import Person
from services.scraper.adapters.channel_job import Done, Setup
from services.scraper.adapters.export_pool import do_here, do_in_workers
from services.scraper.adapters.export_zip import ExportZip, refused
from services.scraper.adapters.packing import write_shards
from services.scraper.adapters.shards import shard_entry
from services.scraper.adapters.sorting import Sorter
from services.scraper.adapters.work import Work
from services.scraper.core.archive import MIB, Limits
from services.scraper.core.export_lists import Known
from services.scraper.core.normalise import Deleted, Dropped, Outcome, Said, line_of
from services.scraper.core.reading import Strangers
from services.scraper.core.rows import channel_prefix, row_of
from services.scraper.core.source import TsWindow
from services.scraper.core.timestamps import ts_key
from services.scraper.core.words import Gone, Spoken

SORT_BYTES: Final = 48 * MIB  # held by all workers together
MOST_WORKERS: Final = 3  # each takes some 45 MB
SMALL_BYTES: Final = 24 * MIB  # unpacked; less is read here: a process takes a while to start
BATCH: Final = 500
NO_LIMIT: Final = 1 << 62


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
    def message_count(self) -> int:
        """All of them."""
        return sum(shard.message_count for shard in self.shards)

    @property
    def channel_count(self) -> int:
        """Channels that hold messages."""
        return len({shard.channel_id for shard in self.shards})

    @property
    def content_sha256(self) -> str:
        """What the corpus says, whoever read it and when: two with the same are one."""
        digest = hashlib.sha256()
        for entry in (self.people, *self.shards):
            digest.update(f"{entry.name} {entry.sha256}\n".encode())
        return digest.hexdigest()


def build_from_export(
    path: Path,
    team_id: str,
    window: TsWindow,
    folder: Path,
    work: Work,
    *,
    workers: int | None = None,
    limits: Limits | None = None,
) -> Built:
    """Read an export ZIP. Raises ExportInvalid, Stopped, TransientError.

    `workers`: processes; 0: this one; None: as many as are worth it. Whatever it is, the bytes are the same.
    """
    runs = folder / "runs"
    runs.mkdir()
    with ExportZip(path, team_id, limits) as export:
        people, channels = export.people, export.channels
        jobs, total_bytes = export.plan(runs / "plan")
    (runs / "names").write_bytes(
        msgspec.json.encode({person.user_id: person.name for person in people} | channels)
    )
    count = _worker_count(total_bytes) if workers is None else workers
    setup = Setup(
        archive=str(path.resolve()),
        folder=str(folder.resolve()),
        names=str((runs / "names").resolve()),
        oldest=ts_key(window.oldest) if window.oldest else "",
        latest=ts_key(window.latest) if window.latest else "",
        budget_bytes=SORT_BYTES // max(count, 2),
        limits=limits or Limits(),
    )
    work.channel_count = len(channels)
    read_bytes = 0

    def heard(messages: int, count_bytes: int) -> None:
        nonlocal read_bytes
        read_bytes += count_bytes
        work.advance(messages)
        if read_bytes:  # as many again as the bytes that are left let expect
            work.total = max(work.step, work.step * total_bytes // read_bytes)

    plan = runs / "plan"
    found = _Found()
    with refused():
        if count:
            done = do_in_workers(setup, plan, jobs, runs, heard, count)
        else:
            done = do_here(setup, plan, jobs, runs, heard)
        with contextlib.closing(done):  # ends the workers, however this ends
            for _, each in done:
                found.add(each)
                work.channels_done += 1
    work.channels_done = work.channel_count
    return found.built(people, channels, folder)


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
    runs = folder / "runs"
    runs.mkdir()
    dropped: Counter[str] = Counter()
    prefixes: dict[str, str] = {}
    sorter = Sorter(runs, SORT_BYTES // 2, NO_LIMIT, lambda: work.advance(0))
    rows: list[bytes] = []
    for channel_id, outcome in outcomes:
        work.advance()
        prefix = prefixes.setdefault(channel_id, channel_prefix(len(prefixes)))
        match outcome:
            case Said(message, edited_ts):
                rows.append(row_of(Spoken(line_of(message), edited_ts), prefix))
            case Deleted(ts, mark):
                dropped[mark] += 1
                rows.append(row_of(Gone(ts, mark), prefix))
            case Dropped(reason):
                dropped[reason] += 1
        if len(rows) >= BATCH:
            sorter.extend(rows)
            rows = []
    sorter.extend(rows)
    work.enter("writing", total=work.step)
    by_prefix = {prefix.encode(): channel_id for channel_id, prefix in prefixes.items()}
    shards = tuple(write_shards(sorter.drain(dropped), by_prefix, folder, work.advance))
    return _Found([Done(shards, dict(dropped), ())]).built(list(map(Known.of, people)), channels, folder)


class _Found:
    """What the jobs of an import brought, in whatever order they were done."""

    def __init__(self, done: Iterable[Done] = ()) -> None:
        self._shards: list[ShardEntry] = []
        self._dropped: Counter[str] = Counter()
        self._strangers = Strangers()
        for each in done:
            self.add(each)

    def add(self, done: Done) -> None:
        """One job's."""
        self._shards += map(shard_entry, done.shards)
        self._dropped.update(done.dropped)
        for stranger in done.strangers:
            self._strangers.add(*stranger)

    def built(self, people: list[Known], channels: dict[str, str], folder: Path) -> Built:
        """The whole corpus. People whom the directory lacks are another workspace's, or gone: never a persona."""
        known = {person.user_id for person in people}
        met = [
            Known(user_id, display_name=name, is_external=True)
            for user_id, _, name in self._strangers.found()
            if user_id not in known
        ]
        everybody = sorted([*people, *met], key=lambda person: person.user_id)
        written = folder / PEOPLE_FILE
        written.write_bytes(msgspec.json.encode(everybody))
        return Built(
            folder=folder,
            people=FileEntry(name=PEOPLE_FILE, size_bytes=written.stat().st_size, sha256=sha256_of(written)),
            person_count=len(everybody),
            channels=channels,
            shards=tuple(sorted(self._shards, key=_place)),
            dropped=dict(sorted(self._dropped.items())),
        )


def _place(shard: ShardEntry) -> tuple[str, int, str]:
    return shard.channel_id, len(shard.name), shard.name


def _worker_count(total_bytes: int) -> int:
    cores = len(os.sched_getaffinity(0))
    return 0 if cores < 2 or total_bytes < SMALL_BYTES else min(cores, MOST_WORKERS)
