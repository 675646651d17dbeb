"""``--user``: an id, a handle or a unique display name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppel.cli.people import match
from doppel.cli.terminal import Failure
from proto.conversation import Person
from proto.errors import PersonaUnknown

ADA = Person(user_id="U0ADA", handle="ada", display_name="Ada L.")
TWIN = Person(user_id="U0TWIN", handle="twin", display_name="Bram")
BRAM = Person(user_id="U0BRAM", handle="bram", display_name="Bram")
EVERYBODY = (ADA, TWIN, BRAM)


@pytest.mark.parametrize("who", ["U0ADA", "ada", "@ada", "Ada L.", "ada l.", " ADA "])
def test_each_way_of_naming_one_person(who: str) -> None:
    assert match(who, EVERYBODY) == ADA


def test_a_handle_wins_over_somebody_else_s_display_name() -> None:
    assert match("bram", EVERYBODY) == BRAM


def test_a_name_that_two_share_asks_for_the_id() -> None:
    with pytest.raises(Failure, match="U0BRAM, U0TWIN"):
        match("Bram", (TWIN, BRAM.model_copy(update={"handle": "b"})))


@given(st.text())
def test_a_stranger_is_unknown_whatever_is_typed(who: str) -> None:
    with pytest.raises(PersonaUnknown):
        match(who, ())


def test_nothing_names_nobody() -> None:
    with pytest.raises(PersonaUnknown):
        match("@", (Person(user_id="U0X"),))
