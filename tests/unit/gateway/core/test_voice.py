"""Who answers where nobody is named, and what people are told of it."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.standing import Standing, render_list, render_status
from services.gateway.core.voice import Chosen, select_voice

IDS = st.sampled_from(["U1", "U2", "U3"])
CHOICES = st.builds(Chosen, st.none() | IDS, st.sampled_from(["", "C1", "C2"]))
SINCE = datetime(2026, 5, 3, tzinfo=UTC)


def voice(active: list[str], *chosen: Chosen, named: str | None = None) -> str | None:
    return select_voice(active, chosen, channel="C1", named=named)


def test_the_narrower_choice_counts() -> None:
    everywhere, here = Chosen("U1"), Chosen("U2", "C1")
    assert voice(["U3", "U2", "U1"]) == "U3"
    assert voice(["U3", "U2", "U1"], everywhere) == "U1"
    assert voice(["U3", "U2", "U1"], everywhere, here) == "U2"
    assert voice(["U3", "U2", "U1"], everywhere, here, Chosen("U3", "C2"), named="U3") == "U3"


def test_the_bot_itself_can_be_chosen() -> None:
    assert voice(["U1"], Chosen("U1"), Chosen(None, "C1")) is None
    assert voice(["U1"], Chosen(None)) is None


def test_who_was_chosen_and_can_not_answer_is_not_replaced_by_another_person() -> None:
    assert voice(["U2"], Chosen("U1")) is None
    assert voice([]) is None


@given(
    st.lists(IDS, unique=True),
    st.lists(
        st.builds(Chosen, st.none() | IDS, st.sampled_from(["", "C1", "C2"])),
        unique_by=lambda each: each.channel,
    ),
    st.none() | IDS,
)
def test_only_who_can_answer_is_chosen(active: list[str], chosen: list[Chosen], named: str | None) -> None:
    found = select_voice(active, chosen, channel="C1", named=named)
    assert found is None or found in active
    assert named is None or found in (named, None)


def test_people_are_told_who_answers_where() -> None:
    standing = Standing(
        [("U1", "Ada", SINCE), ("U2", "Bram", SINCE)],
        [Chosen("U2", "C1")],
        {"U1": 2, "U2": 1},
        [("U3", "asking")],
    )
    assert render_list(standing, "C1").split("\n") == [
        "• Ada: answers since 3 May 2026, 2 versions",
        "• Bram: answers since 3 May 2026, 1 version",
        "Who names nobody hears Bram in this channel, Ada elsewhere.",
    ]
    assert render_status(standing) == "Trained: Ada, Bram.\n<@U3>: waits for their answer."
    assert "Nobody can answer yet" in render_list(Standing([], [], {}, []), "C1")
