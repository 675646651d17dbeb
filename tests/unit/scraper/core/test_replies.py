"""Who answers whom where no thread says it."""

import pytest

from proto.conversation import Person
from services.scraper.core.replies import Channel, Directory
from services.scraper.core.said import Said
from tests.unit.scraper.core.conversing import DIRECTORY, say


def answered(*messages: Said) -> list[str | None]:
    """The text that each message answers."""
    channel = Channel(DIRECTORY)
    parents = [channel.place(message)[1] for message in messages]
    return [parent.said.text if parent else None for parent in parents]


PRINTER = say("U0BRAM", 100, "my printer is on fire")
CUP = say("U0CHIYO", 110, "@Dev, who took my cup?")


@pytest.mark.parametrize("opening", ["@Bram de Vries: ", "@bram ", "bram: ", "Bram, ", "well bram "])
def test_who_is_named_is_who_is_answered(opening: str) -> None:
    assert answered(PRINTER, CUP, say("U0ADA", 120, f"{opening}have you tried water?"))[2] == PRINTER.text


def test_the_quoted_are_answered() -> None:
    assert answered(PRINTER, CUP, say("U0ADA", 120, "> my printer is on\nwater helps"))[2] == PRINTER.text


def test_who_was_asked_answers() -> None:
    assert answered(PRINTER, CUP, say("U0DEV", 120, "it was me"))[2] == CUP.text


def test_a_question_is_answered_by_who_speaks_next() -> None:
    asked = say("U0CHIYO", 115, "does anybody know the way?")
    said = answered(PRINTER, CUP, asked, say("U0ADA", 120, "left, then left again"))
    assert said[3] == asked.text


def test_somebody_goes_on_with_what_they_said() -> None:
    assert answered(PRINTER, CUP, say("U0BRAM", 130, "and now my desk"))[2] == PRINTER.text


def test_in_a_quiet_channel_whoever_speaks_joins() -> None:
    assert answered(PRINTER, say("U0ADA", 700, "oh dear")) == [None, PRINTER.text]


def test_in_a_busy_channel_a_newcomer_begins_anew() -> None:
    busy = (PRINTER, say("U0DEV", 105, "@Chiyo: good morning"), CUP)
    assert answered(*busy, say("U0ADA", 120, "good morning"))[3] is None


def test_a_silence_ends_every_conversation() -> None:
    assert answered(PRINTER, say("U0ADA", 4_000, "@Bram de Vries: is it out?")) == [None, None]


def test_a_name_of_two_people_means_nobody() -> None:
    twins = Directory.of([Person(user_id="U1", display_name="Kim"), Person(user_id="U2", display_name="kim")])
    assert twins.opening("@Kim: hi") is None


@pytest.mark.parametrize("text", ["@", "@" * 5_000, "a:" * 5_000, ":" * 5_000, "\x00", "@Chiyoko hi"])
def test_strange_openings_name_nobody(text: str) -> None:
    assert DIRECTORY.opening(text) is None
