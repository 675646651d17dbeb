"""A Slack export ZIP, read as a stream: one array element at a time, whatever the size of a file. Blocking."""

import contextlib
import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

from pydantic import TypeAdapter, ValidationError

from proto.body import ChannelId
from proto.conversation import Person
from proto.errors import ExportInvalid
from services.scraper.core.archive import (
    TAIL_BYTES,
    Limits,
    check_entry,
    check_growth,
    count_entries,
    enclosing_folder,
    is_noise,
    parse_day_file,
    readable_name,
)
from services.scraper.core.json_array import BadArray, ElementTooLong, array_elements
from services.scraper.core.people import home_teams, parse_person, parse_text

CHUNK_BYTES: Final = 256 * 1024
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    UnicodeError,
    ValueError,
)
_PRIVATE: Final = ("groups.json", "dms.json", "mpims.json")
_CHANNEL_ID: TypeAdapter[str] = TypeAdapter(ChannelId)


class ExportZip:
    """One opened export. Everything it raises about its content is `ExportInvalid`."""

    def __init__(self, path: Path, team_id: str, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._team_id = team_id
        self._read_bytes = 0
        self.skipped: dict[str, int] = {}
        _check_tail(path, self._limits)
        with _broken_means("it is no complete ZIP file"):
            self._archive = zipfile.ZipFile(path)
        self._entries = self._list_entries()
        self.channels, self._folders = self._read_channels()
        self.people = self._read_people()

    def __enter__(self) -> Self:
        """Use as a context manager: the file is closed at its end."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self._archive.close()

    def messages(self) -> Iterator[tuple[str, Any]]:
        """``(channel id, raw message)`` of every public channel, in no order."""
        for name, info in self._entries:
            day = parse_day_file(name)
            if day is None or day.folder not in self._folders:
                continue
            channel_id = self._folders[day.folder]
            for raw in self._elements(info, f"a day of #{day.folder}"):
                yield channel_id, raw

    def _list_entries(self) -> list[tuple[str, zipfile.ZipInfo]]:
        infos = self._archive.infolist()
        if sum(info.file_size for info in infos) > self._limits.total_bytes:
            raise ExportInvalid("it unpacks to more than is read here")
        named = [(readable_name(info.filename, info.flag_bits), info) for info in infos]
        entries = [(name, info) for name, info in named if not is_noise(name)]
        for name, info in entries:
            check_entry(
                name,
                flag_bits=info.flag_bits,
                external_attr=info.external_attr,
                compress_type=info.compress_type,
                size_bytes=info.file_size,
                limits=self._limits,
            )
        outer = enclosing_folder([name for name, _ in entries])
        return [(name.removeprefix(outer), info) for name, info in entries]

    def _named(self, name: str) -> zipfile.ZipInfo | None:
        found = [info for each, info in self._entries if each == name]
        if len(found) > 1:
            raise ExportInvalid(f"it holds {name} twice")
        return found[0] if found else None

    def _read_channels(self) -> tuple[dict[str, str], dict[str, str]]:
        """Public channels: id → name, and folder → id. What else has a folder is private and stays unread."""
        info = self._named("channels.json")
        if info is None:
            raise ExportInvalid("it has no channels.json, so it is no Slack export")
        names: dict[str, str] = {}
        folders: dict[str, str] = {}
        for raw in self._elements(info, "channels.json"):
            if not isinstance(raw, dict) or raw.get("is_private") is True:
                continue
            channel_id, name = _channel_id(raw.get("id")), parse_text(raw.get("name")).strip()
            if channel_id is None or not name:
                continue
            names.setdefault(channel_id, name)
            if name not in folders or raw.get("is_archived") is not True:
                folders[name] = channel_id
        for private in self._private_names():
            names.pop(folders.pop(private, ""), None)
        if not folders:
            raise ExportInvalid("its channels.json names no public channel")
        return names, folders

    def _private_names(self) -> Iterator[str]:
        for file in _PRIVATE:
            info = self._named(file)
            if info is None:
                continue
            for raw in self._elements(info, file):
                if isinstance(raw, dict):
                    yield from (parse_text(raw.get(key)).strip() for key in ("name", "id"))

    def _read_people(self) -> list[Person]:
        info = self._named("users.json") or self._named("org_users.json")
        if info is None:
            raise ExportInvalid("it has no users.json, so nobody in it can be told apart")
        users = [_slim(raw) for raw in self._elements(info, "users.json") if isinstance(raw, dict)]
        home = home_teams(self._team_id, None, users)
        people = {person.user_id: person for raw in users if (person := parse_person(raw, home))}
        if not people:
            raise ExportInvalid("its users.json is no list of people")
        return sorted(people.values(), key=lambda person: person.user_id)

    def _elements(self, info: zipfile.ZipInfo, what: str) -> Iterator[Any]:
        """The elements of a JSON array, one by one. Raises ExportInvalid."""
        try:
            with _broken_means(f"{what} is damaged"), self._archive.open(info) as packed:
                yield from array_elements(self._pieces(packed, info), self._limits.element_characters)
        except ElementTooLong as error:
            raise ExportInvalid(f"{what} holds something unreasonably long") from error
        except BadArray as error:
            raise ExportInvalid(f"{what} is no list in JSON") from error

    def _pieces(self, packed: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
        """What streams out of an entry, counted: its directory may lie about sizes. Raises ExportInvalid."""
        read_bytes = 0
        while data := packed.read(CHUNK_BYTES):
            read_bytes += len(data)
            self._read_bytes += len(data)
            check_growth(read_bytes, info.compress_size, self._limits)
            if self._read_bytes > self._limits.total_bytes:
                raise ExportInvalid("it unpacks to more than is read here")
            yield data


@contextlib.contextmanager
def _broken_means(reason: str) -> Iterator[None]:
    """Raise what zipfile makes of damaged bytes as ExportInvalid; a failing disk stays a failing disk."""
    try:
        yield
    except (BadArray, ElementTooLong):
        raise
    except _BROKEN as error:
        raise ExportInvalid(reason) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset before the file's beginning
            raise
        raise ExportInvalid(reason) from error


def _check_tail(path: Path, limits: Limits) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - TAIL_BYTES))
        count = count_entries(file.read())
    if count > limits.entry_count:
        raise ExportInvalid(f"it holds more than {limits.entry_count} files")


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
