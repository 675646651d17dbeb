"""What the lists of an export say: which folders are public channels, and who the people are. Any of it may be wrong.

However long the lists, what is remembered of them is bounded; private conversations are looked at and forgotten.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter, ValidationError

from proto.body import ChannelId
from proto.conversation import Person
from services.scraper.core.archive import ArchiveRefused, spellings
from services.scraper.core.fields import parse_text
from services.scraper.core.people import home_teams, parse_person

MOST_CHANNELS: Final = 200_000
MOST_PEOPLE: Final = 500_000
MOST_PRIVATE: Final = 2_000_000  # in one list: each pair of people may have a conversation
_PRIVATE_FLAGS: Final = ("is_private", "is_im", "is_mpim", "is_group")
_CHANNEL_ID: TypeAdapter[str] = TypeAdapter(ChannelId)

Elements = Iterable[Mapping[str, Any]]


class Known(msgspec.Struct, frozen=True, gc=False):
    """A `proto.conversation.Person` in a third of the memory: a directory is held at once."""

    user_id: str
    handle: str = ""
    display_name: str = ""
    is_bot: bool = False
    is_guest: bool = False
    is_external: bool = False
    is_deleted: bool = False

    @property
    def name(self) -> str:
        """What to call them."""
        return self.display_name or self.handle or "someone"

    @classmethod
    def of(cls, person: Person) -> "Known":
        """The same person."""
        return cls(
            person.user_id,
            person.handle,
            person.display_name,
            person.is_bot,
            person.is_guest,
            person.is_external,
            person.is_deleted,
        )


class PublicChannels:
    """Which folder belongs to which channel. What else has a folder is private and stays unread."""

    def __init__(self, channels: Elements, private: Iterable[Elements]) -> None:
        """Raises ArchiveRefused where no public channel is named."""
        self.names: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        hidden = self._read(channels)
        self._spellings = self._other_spellings()
        for name in hidden:
            self._hide(name)
        for elements in private:
            for raw in _at_most(elements, MOST_PRIVATE, "one of its lists names", "conversations"):
                for key in ("name", "id"):
                    self._hide(parse_text(raw.get(key)).strip())
        if not self._folders:
            raise ArchiveRefused("its channels.json names no public channel")

    def of_folder(self, folder: str) -> str | None:
        """The id of the channel whose messages lie in that folder."""
        if folder in self._folders:
            return self._folders[folder]
        return next(
            (
                known[each]
                for known, each in zip(self._spellings, spellings(folder), strict=True)
                if each in known
            ),
            None,
        )

    def _read(self, channels: Elements) -> set[str]:
        """Takes the public ones; returns the names of the others."""
        hidden: set[str] = set()
        for raw in _at_most(channels, MOST_CHANNELS, "its channels.json names", "channels"):
            channel_id, name = _channel_id(raw.get("id")), parse_text(raw.get("name")).strip()
            if any(map(raw.get, _PRIVATE_FLAGS)):
                hidden.add(name)
            elif channel_id and name:
                self.names.setdefault(channel_id, name)
                if name not in self._folders or raw.get("is_archived") is not True:
                    self._folders[name] = channel_id
        return hidden

    def _other_spellings(self) -> tuple[dict[str, str | None], dict[str, str | None]]:
        """Folders as other systems spell them, the likelier way first; None where that could mean two channels."""
        found: tuple[dict[str, str | None], dict[str, str | None]] = ({}, {})
        for name, channel_id in self._folders.items():
            for known, each in zip(found, spellings(name), strict=True):
                known[each] = channel_id if known.get(each, channel_id) == channel_id else None
        return found

    def _hide(self, name: str) -> None:
        """Something private is called so."""
        self.names.pop(self._folders.pop(name, ""), None)
        for known, each in zip(self._spellings, spellings(name), strict=True):
            if each in known:
                known[each] = None


def read_people(users: Callable[[], Iterator[Mapping[str, Any]]], team_id: str) -> list[Known]:
    """The directory, by id. The list is read twice: first to learn whose it is. Raises ArchiveRefused."""
    home = home_teams(team_id, None, _at_most(users(), MOST_PEOPLE, "its users.json names", "people"))
    people = {person.user_id: Known.of(person) for raw in users() if (person := parse_person(raw, home))}
    if not people:
        raise ArchiveRefused("its users.json is no list of people")
    return [people[user_id] for user_id in sorted(people)]


def _at_most(elements: Elements, most: int, what: str, of: str) -> Iterator[Mapping[str, Any]]:
    for number, element in enumerate(elements):
        if number >= most:
            raise ArchiveRefused(f"{what} more than {most} {of}")
        yield element


def _channel_id(value: Any) -> str | None:
    """A public channel's id."""
    try:
        return _CHANNEL_ID.validate_python(value) if str(value).startswith("C") else None
    except ValidationError:
        return None
