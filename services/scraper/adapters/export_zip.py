"""A Slack export ZIP: what it holds, whose channels and people; the day files themselves are read by `channel_job`.

Blocking. Nothing is unpacked to disk, and no name in it becomes a path.
"""

import contextlib
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self, cast

from pydantic import TypeAdapter, ValidationError

from proto.body import ChannelId
from proto.conversation import Person
from proto.errors import ExportInvalid
from services.scraper.adapters.channel_job import Job, elements
from services.scraper.adapters.zip_directory import Listed, find_directory, list_entries
from services.scraper.adapters.zip_entries import Entry, ZipEntries, pack_entry
from services.scraper.core.archive import (
    ArchiveRefused,
    Limits,
    check_entry,
    folded_name,
    is_noise,
    may_enclose,
    parse_day_file,
    readable_name,
)
from services.scraper.core.fields import parse_text
from services.scraper.core.people import home_teams, parse_person

_PRIVATE: Final = ("groups.json", "dms.json", "mpims.json")
_PRIVATE_FLAGS: Final = ("is_private", "is_im", "is_mpim", "is_group")
_USERS: Final = ("users.json", "org_users.json")
_LISTS: Final = frozenset(("channels.json", *_PRIVATE, *_USERS))
_LOCAL_HEADER_BYTES: Final = 30
_CHANNEL_ID: TypeAdapter[str] = TypeAdapter(ChannelId)


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
            self.channels, self._folders, self._spellings = self._read_channels()
            self.people = self._read_people()
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager: the file is closed at its end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self._open.close()

    def plan(self, path: Path) -> tuple[list[Job], int]:
        """Write down where each channel's day files lie; the jobs, largest first, and their bytes unpacked."""
        packed: dict[str, bytearray] = {}
        weights: Counter[str] = Counter()
        with refused():
            for name, listed in self._entries():
                day = parse_day_file(name)
                channel_id = self._channel_of(day.folder) if day else None
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
        return enclosing or ""

    def _find_lists(self) -> None:
        for name, listed in self._entries():
            if name in _LISTS:
                if name in self._lists:
                    raise ArchiveRefused(f"it holds {name} twice")
                self._lists[name] = _entry(listed)

    def _read_channels(self) -> tuple[dict[str, str], dict[str, str], dict[str, str | None]]:
        """Public channels: id → name, folder → id, and folder in other letters → id.

        What else has a folder is private and stays unread.
        """
        if "channels.json" not in self._lists:
            raise ArchiveRefused("it has no channels.json, so it is no Slack export")
        names: dict[str, str] = {}
        folders: dict[str, str] = {}
        private = set(self._private_names())
        for raw in self._elements("channels.json"):
            channel_id, name = _channel_id(raw.get("id")), parse_text(raw.get("name")).strip()
            if any(map(raw.get, _PRIVATE_FLAGS)):
                private.add(name)
            elif channel_id and name:
                names.setdefault(channel_id, name)
                if name not in folders or raw.get("is_archived") is not True:
                    folders[name] = channel_id
        for each in private:
            names.pop(folders.pop(each, ""), None)
        if not folders:
            raise ArchiveRefused("its channels.json names no public channel")
        return names, folders, _other_spellings(folders, private)

    def _private_names(self) -> Iterator[str]:
        for file in _PRIVATE:
            if file in self._lists:
                for raw in self._elements(file):
                    yield from (parse_text(raw.get(key)).strip() for key in ("name", "id"))

    def _channel_of(self, folder: str) -> str | None:
        return self._folders.get(folder) or self._spellings.get(folded_name(folder))

    def _read_people(self) -> list[Person]:
        name = next((each for each in _USERS if each in self._lists), None)
        if name is None:
            raise ArchiveRefused("it has no users.json, so nobody in it can be told apart")
        users = [_slim(raw) for raw in self._elements(name)]
        home = home_teams(self._team_id, None, users)
        people = {person.user_id: person for raw in users if (person := parse_person(raw, home))}
        if not people:
            raise ArchiveRefused("its users.json is no list of people")
        return sorted(people.values(), key=lambda person: person.user_id)

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


def _other_spellings(folders: dict[str, str], private: set[str]) -> dict[str, str | None]:
    """Folders in other letters than their channel has, where that can mean one channel only, and nothing private."""
    folded: dict[str, str | None] = {folded_name(each): None for each in private}
    for name, channel_id in folders.items():
        other = folded_name(name)
        folded[other] = channel_id if folded.get(other, channel_id) == channel_id else None
    return folded


def _channel_id(value: Any) -> str | None:
    """A public channel's id."""
    try:
        return _CHANNEL_ID.validate_python(value) if str(value).startswith("C") else None
    except ValidationError:
        return None


def _slim(raw: dict[str, Any]) -> dict[str, Any]:
    """A directory of a million people is held at once: only what is read of them is kept."""
    profile = raw.get("profile")
    kept = {key: raw.get(key) for key in _USER_FIELDS if raw.get(key) is not None}
    if isinstance(profile, dict):
        kept["profile"] = {
            key: profile[key] for key in ("display_name", "real_name", "bot_id") if key in profile
        }
    return kept


_USER_FIELDS: Final = (
    "id",
    "team_id",
    "name",
    "real_name",
    "deleted",
    "is_bot",
    "is_workflow_bot",
    "is_connector_bot",
    "is_restricted",
    "is_ultra_restricted",
    "is_stranger",
    "enterprise_user",
)
