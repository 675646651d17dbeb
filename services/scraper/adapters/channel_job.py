"""One channel of an export, from its day files to its shards. Blocking; runs in a worker process, or right here.

Imports nothing that a small worker process would have to carry.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from services.scraper.adapters.packing import Shard, write_shards
from services.scraper.adapters.sorting import ScratchFull, Sorter
from services.scraper.adapters.zip_entries import Entry, ZipEntries, unpack_entries
from services.scraper.core.archive import MIB, ArchiveRefused, Limits
from services.scraper.core.json_array import BadArray, ElementTooLong, array_elements
from services.scraper.core.raw_message import RawMessage, decode_messages
from services.scraper.core.reading import Reader
from services.scraper.core.rows import channel_prefix

BATCH: Final = 500  # messages of a large file between two looks around
MOST_OTHERS: Final = 10_000  # elements of one list that are no objects: a few are odd, many are junk
PREFIX: Final = channel_prefix(0)  # a job sorts one channel at a time


class Setup(msgspec.Struct, frozen=True):
    """What all jobs of one export have in common."""

    archive: str
    folder: str  # where shards go; runs lie beside them
    names: str  # a file: JSON, id → name
    oldest: str = ""
    latest: str = ""
    budget_bytes: int = 16 * MIB
    limits: Limits = Limits()


class Job(msgspec.Struct, frozen=True):
    """One channel: where in the plan's file its entries stand."""

    channel_id: str
    offset: int
    size_bytes: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """What came of a job."""

    shards: tuple[Shard, ...]
    dropped: dict[str, int]
    strangers: tuple[tuple[str, str, str], ...]


class ChannelReader:
    """Does jobs, one after another."""

    def __init__(self, setup: Setup, plan: Path, runs: Path, heard: Callable[[int, int], None]) -> None:
        """`heard(messages, bytes)` is called all the time with what was read since; raise in it to stop."""
        self._setup = setup
        self._plan = plan
        self._names: dict[str, str] = msgspec.json.decode(Path(setup.names).read_bytes(), type=dict[str, str])
        self._heard = heard
        self._count = 0
        self._sorter = Sorter(runs, setup.budget_bytes, setup.limits.scratch_bytes, lambda: heard(0, 0))

    def read(self, job: Job) -> Done:
        """Raises ArchiveRefused."""
        reader = Reader(self._names, oldest=self._setup.oldest, latest=self._setup.latest)
        with self._plan.open("rb") as file:
            file.seek(job.offset)
            entries = unpack_entries(file.read(job.size_bytes))
        try:
            with ZipEntries(Path(self._setup.archive), self._setup.limits) as archive:
                for entry in entries:
                    for raws in self._messages(archive, entry, reader):
                        self._sorter.extend(reader.rows(raws, job.channel_id, PREFIX))
                        self._count += len(raws)
                        if self._count > self._setup.limits.message_count:
                            raise ArchiveRefused("it holds more messages than any workspace")
                        self._heard(len(raws), 0)
                    self._heard(0, entry.size_bytes)
            rows = self._sorter.drain(reader.dropped)
            channels = {PREFIX.encode(): job.channel_id}
            shards = tuple(
                write_shards(rows, channels, Path(self._setup.folder), lambda _: self._heard(0, 0))
            )
        except ScratchFull as error:
            raise ArchiveRefused("sorting it needs more disk than an export may take") from error
        return Done(shards, dict(reader.dropped), tuple(reader.strangers.found()))

    def _messages(self, archive: ZipEntries, entry: Entry, reader: Reader) -> Iterator[list[RawMessage]]:
        """A day file at once where it is small and as it should be, else a few messages at a time."""
        data = archive.whole(entry)
        if data is not None and (messages := decode_messages(data)) is not None:
            yield messages
            return
        pieces = archive.pieces(entry) if data is None else iter((data,))
        batch: list[RawMessage] = []
        for element in elements(pieces, self._setup.limits, "a day of a channel"):
            raw = RawMessage.of(element)
            if raw is None:
                reader.dropped["not_a_message"] += 1
                continue
            batch.append(raw)
            if len(batch) >= BATCH:
                yield batch
                batch = []
        yield batch


def elements(pieces: Iterator[bytes], limits: Limits, what: str) -> Iterator[object]:
    """The elements of a JSON array in pieces. Raises ArchiveRefused, also for an array of anything but objects."""
    others = 0
    try:
        for element in array_elements(pieces, limits.element_characters):
            if not isinstance(element, dict):
                others += 1
                if others > MOST_OTHERS:
                    raise ArchiveRefused(f"{what} is no list of objects")
            yield element
    except ElementTooLong as error:
        raise ArchiveRefused(f"{what} holds something unreasonably long") from error
    except BadArray as error:
        raise ArchiveRefused(f"{what} is no list in JSON") from error
