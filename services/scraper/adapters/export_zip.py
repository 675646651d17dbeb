"""A Slack export ZIP: what it holds, whose channels and people; the day files themselves are read by `channel_job`.

Blocking. Nothing is unpacked to disk, and no name in it becomes a path.
"""

import contextlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self, cast

from proto.errors import ExportInvalid
from services.scraper.adapters.channel_job import Job, elements
from services.scraper.adapters.zip_directory import Listed, find_directory, list_entries
from services.scraper.adapters.zip_entries import Entry, ZipEntries, pack_entry
from services.scraper.core.archive import (
    ArchiveRefused,
    Limits,
    check_entry,
    is_bomb,
    is_noise,
    may_enclose,
    parse_day_file,
    readable_name,
)
from services.scraper.core.export_lists import Known, PublicChannels, read_people

_PRIVATE: Final = ("groups.json", "dms.json", "mpims.json")
_USERS: Final = ("users.json", "org_users.json")
_LISTS: Final = frozenset(("channels.json", *_PRIVATE, *_USERS))
_LOCAL_HEADER_BYTES: Final = 30


class ExportZip:
    """One opened export. Everything it raises about its content is `ExportInvalid`."""

    def __init__(self, path: Path, team_id: str, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._team_id = team_id
        self._lists: dict[str, Entry] = {}
        with contextlib.ExitStack() as stack, refused():
            self._archive = stack.enter_context(ZipEntries(path, self._limits))
            self._outer = self._look_through()
            self._find_lists()
            self._public = self._read_channels()
            self.people = self._read_people()
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager: the file is closed at its end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self._open.close()

    @property
    def channels(self) -> dict[str, str]:
        """Public ones: id → name."""
        return self._public.names

    def plan(self, path: Path) -> tuple[list[Job], int]:
        """Write down where each channel's day files lie; the jobs, largest first, and their bytes unpacked."""
        packed: dict[str, bytearray] = {}
        weights: Counter[str] = Counter()
        with refused():
            for name, listed in self._entries():
                day = parse_day_file(name)
                channel_id = self._public.of_folder(day.folder) if day else None
                if day and channel_id:
                    packed.setdefault(channel_id, bytearray()).extend(pack_entry(_entry(listed, day.day)))
                    weights[channel_id] += listed.size_bytes
        jobs: list[Job] = []
        with path.open("wb") as file:
            for channel_id in sorted(packed, key=lambda each: (-weights[each], each)):
                jobs.append(Job(channel_id, file.tell(), len(packed[channel_id])))
                file.write(packed[channel_id])
        return jobs, weights.total()

    def _entries(self) -> Iterator[tuple[str, Listed]]:
        """All that counts, under its name inside the enclosing folder."""
        handle = self._archive.handle
        for listed in list_entries(handle, find_directory(handle, self._limits), self._limits):
            name = readable_name(listed.name, listed.flag_bits)
            if not is_noise(name):
                yield name.removeprefix(self._outer), listed

    def _look_through(self) -> str:
        """Check every entry before one is read; returns the folder around all of it."""
        self._outer = ""
        enclosing: str | None = None
        total_bytes = 0
        spans: array[int] = array("Q")
        begin = find_directory(self._archive.handle, self._limits).begin
        for name, listed in self._entries():
            check_entry(
                name,
                flag_bits=listed.flag_bits,
                external_attr=listed.external_attr,
                compress_type=listed.compress_type,
                size_bytes=listed.size_bytes,
                limits=self._limits,
            )
            total_bytes += listed.size_bytes
            if total_bytes > self._limits.total_bytes:
                raise ArchiveRefused("it unpacks to more than is read here")
            end = listed.offset + _LOCAL_HEADER_BYTES + len(listed.name) + listed.packed_bytes
            if end > begin:
                raise ArchiveRefused("one of its files is damaged")
            spans.append(listed.offset)
            spans.append(end)
            found = may_enclose(name)
            if found is not None and enclosing != "":
                enclosing = found if not found or enclosing is None else enclosing
        _check_overlaps(spans)
        if is_bomb(total_bytes, begin, self._limits):  # of many small ones
            raise ArchiveRefused("it unpacks to far more than it should")
        return enclosing or ""

    def _find_lists(self) -> None:
        for name, listed in self._entries():
            if name in _LISTS:
                if name in self._lists:
                    raise ArchiveRefused(f"it holds {name} twice")
                self._lists[name] = _entry(listed)

    def _read_channels(self) -> PublicChannels:
        if "channels.json" not in self._lists:
            raise ArchiveRefused("it has no channels.json, so it is no Slack export")
        private = (self._elements(name) for name in _PRIVATE if name in self._lists)
        return PublicChannels(self._elements("channels.json"), private)

    def _read_people(self) -> list[Known]:
        name = next((each for each in _USERS if each in self._lists), None)
        if name is None:
            raise ArchiveRefused("it has no users.json, so nobody in it can be told apart")
        return read_people(lambda: self._elements(name), self._team_id)

    def _elements(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of a list."""
        for raw in elements(self._archive.pieces(self._lists[name]), self._limits, name):
            if isinstance(raw, dict):
                yield cast("dict[str, Any]", raw)


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What was wrong with an archive, in the contract's words."""
    try:
        yield
    except ArchiveRefused as error:
        raise ExportInvalid(str(error)) from error


def _entry(listed: Listed, day: str = "") -> Entry:
    return Entry(
        day.encode(),
        listed.offset,
        listed.packed_bytes,
        listed.size_bytes,
        listed.crc,
        listed.compress_type,
    )


def _check_overlaps(spans: "array[int]") -> None:
    """Entries that share bytes unpack to any size: no maker of exports writes them."""
    begins, ends = spans[::2], spans[1::2]
    last = 0
    for number in sorted(range(len(begins)), key=begins.__getitem__):
        if begins[number] < last:
            raise ArchiveRefused("two of its files share the same bytes")
        last = ends[number]
