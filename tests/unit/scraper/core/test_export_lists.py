"""Which folders are public, and who is in the directory, whatever the lists of an export say."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.conversation import Person
from services.scraper.core import export_lists
from services.scraper.core.archive import ArchiveRefused
from services.scraper.core.export_lists import Known, PublicChannels, read_people
from services.scraper.core.people import parse_person

values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
ENG = {"id": "C0ENG", "name": "eng"}


def channels(*listed: dict[str, Any], private: tuple[dict[str, Any], ...] = ()) -> PublicChannels:
    return PublicChannels(listed, [private])


def test_a_folder_is_found_in_the_letters_that_other_systems_left() -> None:
    found = channels({"id": "C0CAF", "name": "caf\u00e9"}, ENG)
    assert [found.of_folder(each) for each in ("cafe\u0301", "CAF\u00c9", "Eng", "other")] == [
        "C0CAF",
        "C0CAF",
        "C0ENG",
        None,
    ]


def test_letters_that_could_mean_two_channels_mean_none() -> None:
    found = channels(ENG, {"id": "C0BIG", "name": "Eng"})
    assert [found.of_folder(each) for each in ("eng", "Eng", "ENG")] == ["C0ENG", "C0BIG", None]


def test_letters_taken_apart_keep_their_case() -> None:
    found = channels({"id": "C0SMALL", "name": "\u00e9"}, {"id": "C0BIG", "name": "\u00c9"})
    assert [found.of_folder(each) for each in ("e\u0301", "E\u0301", "\u00c9")] == [
        "C0SMALL",
        "C0BIG",
        "C0BIG",
    ]
    hidden = channels({"id": "C0SMALL", "name": "\u00e9"}, ENG, private=({"name": "E\u0301"},))
    assert [hidden.of_folder(each) for each in ("\u00e9", "e\u0301", "E\u0301")] == [
        "C0SMALL",
        "C0SMALL",
        None,
    ]


def test_of_two_channels_with_one_name_the_living_one_has_the_folder() -> None:
    old = {"id": "C0OLD", "name": "eng", "is_archived": True}
    for listed in ((old, ENG), (ENG, old)):
        found = channels(*listed)
        assert (found.of_folder("eng"), set(found.names)) == ("C0ENG", {"C0ENG", "C0OLD"})


def test_what_anything_private_is_called_is_not_read() -> None:
    board = {"id": "C0B", "name": "board"}
    for private in ({"id": "G0B", "name": "board"}, {"id": "board"}):
        found = channels(ENG, board, private=(private,))
        assert (found.of_folder("board"), found.of_folder("Board"), "C0B" in found.names) == (
            None,
            None,
            False,
        )
    assert channels(ENG, board, {"id": "C0X", "name": "board", "is_private": 1}).of_folder("board") is None


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "name", "is_private", "is_archived"]), values), max_size=4
    )
)
def test_any_list_of_channels_is_read_or_refused(listed: list[dict[str, Any]]) -> None:
    try:
        found = channels(*listed)
    except ArchiveRefused:
        return
    assert all(channel_id.startswith("C") for channel_id in found.names)


@pytest.mark.parametrize("limit", ["MOST_CHANNELS", "MOST_PEOPLE", "MOST_PRIVATE"])
def test_endless_lists_are_refused(limit: str) -> None:
    most = getattr(export_lists, limit)

    def endless() -> Iterator[dict[str, Any]]:
        for _ in range(most + 1):
            yield {}

    read = {
        "MOST_PEOPLE": lambda: read_people(endless, "T1"),
        "MOST_CHANNELS": lambda: PublicChannels(endless(), []),
        "MOST_PRIVATE": lambda: PublicChannels([ENG], [endless()]),
    }
    with pytest.raises(ArchiveRefused, match=str(most)):
        read[limit]()


def test_the_directory_is_stored_as_the_contract_has_it() -> None:
    raw = {
        "id": "U0ADA",
        "team_id": "T1",
        "name": "ada",
        "profile": {"display_name": "Ada \u2728"},
        "is_restricted": True,
    }
    person = parse_person(raw, frozenset({"T1"}))
    assert person is not None
    (known,) = read_people(lambda: iter([raw, {"id": None}]), "T1")
    assert known == Known.of(person)
    assert known.name == person.name
    assert msgspec.json.encode(known) == person.model_dump_json().encode()
    assert Person.model_validate(json.loads(msgspec.json.encode(known))) == person
