"""Buttons under an answer: what a press means, and to which answer it may belong."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.slack import Interaction
from services.gateway.core.feedback import (
    Press,
    check_again,
    check_not_me,
    is_answer,
    read_press,
    render_not_me,
    with_buttons,
)
from services.gateway.core.outbox import EPHEMERAL, OutboxRow
from services.gateway.core.reply import render_answer
from services.gateway.core.rights import Asker, NotAllowed
from services.gateway.core.rules import Rules
from services.gateway.core.thread import Voice
from tests.unit.gateway.core.test_dispatch import row as any_row

ID = uuid4()


def pressed(*actions: tuple[str, str], **more: Any) -> Interaction:
    made = [{"action_id": action_id, "value": value} for action_id, value in actions]
    fields: dict[str, Any] = {"type": "block_actions", "actions": made}
    return Interaction.model_validate(
        {"api_app_id": "A1", "user": {"id": "U1"}, "trigger_id": "t"} | fields | more
    )


def row(**fields: Any) -> OutboxRow:
    plain = {"user_id": "U2", "state": "sent", "message_ts": "1.1", "request_id": ID}
    return any_row(**plain | fields)


def buttons(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Every button with what it sends."""
    found: list[tuple[str, str]] = []
    for block in message.get("blocks") or []:
        for each in block.get("elements") or []:
            sides = [each.get("positive_button"), each.get("negative_button"), each]
            found += [(each["action_id"], side["value"]) for side in sides if side and "value" in side]
    return found


@given(st.text(max_size=4000), st.booleans(), st.booleans())
def test_each_button_says_which_answer_it_is_about(text: str, as_persona: bool, may_repeat: bool) -> None:
    voice = Voice("U2", "Ada") if as_persona else Voice(None, "doppel")
    posts = render_answer(text, voice, icon_url="http://x/y.png")
    *first, last = with_buttons(posts, ID, voice.user_id, may_repeat=may_repeat)
    assert [each["text"] for each in [*first, last]] == [each["text"] for each in posts]
    assert not [each for each in first if buttons(each)]
    meant = {read_press(pressed(each)) for each in buttons(last)}
    deeds = {"good", "bad"} | ({"again"} if may_repeat else set()) | ({"not_me"} if as_persona else set())
    assert meant == {Press(deed, ID) for deed in deeds}  # type: ignore[arg-type]
    assert len(last["blocks"]) <= 50


@given(
    st.sampled_from(["answer_rate", "answer_again", "not_me", "consent_allow", ""]),
    st.text(max_size=200) | st.builds(lambda t: f"good:{t}", st.text(max_size=50)),
)
def test_whatever_a_press_says_it_is_read_or_is_none(action_id: str, value: str) -> None:
    press = read_press(pressed((action_id, value)))
    assert press is None or press.request_id is not None  # only a message's shortcut leaves the id out


def test_the_shortcut_is_about_its_message() -> None:
    assert read_press(pressed(type="message_action", callback_id="not_me")) == Press("not_me", None)
    assert read_press(pressed(type="message_action", callback_id="other")) is None


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"team_id": "T2"}, {}),
        ({}, {"team_id": "T2"}),
        ({}, {"channel": "C2"}),
        ({}, {"channel": None}),
        ({}, {"api_app_id": "A2"}),
        ({"kind": "notice"}, {}),
        ({"state": "pending"}, {}),
        ({"state": "failed"}, {}),
        ({"message_ts": EPHEMERAL}, {}),
    ],
)
def test_only_an_answer_that_stands_there_is_meant(fields: dict[str, Any], place: dict[str, Any]) -> None:
    here: dict[str, Any] = {"api_app_id": "A1", "team_id": "T1", "channel": "C1"}
    assert is_answer(row(), **here)
    assert not is_answer(row(**fields), **here | place)


def test_who_may_have_it_answered_again() -> None:
    def may(presser: str, *, member: bool = True, admin: bool = False, **fields: Any) -> bool:
        try:
            check_again(Asker(presser, is_member=member, is_admin=admin), row(**fields), Rules())
        except NotAllowed:
            return False
        return True

    assert may("U1")
    assert may("U2")
    assert may("U3", admin=True)
    assert not may("U3")
    assert not may("U1", member=False)
    assert may("U1", member=False, user_id=None)
    assert not may("U3", user_id=None)


def test_nobody_but_the_person_says_that_it_is_not_them() -> None:
    check_not_me("U2", row())
    for user_id, fields in (("U1", {}), ("U2", {"user_id": None})):
        with pytest.raises(NotAllowed):
            check_not_me(user_id, row(**fields))


def test_the_report_calls_the_person_and_names_the_version() -> None:
    said = render_not_me(row(run_id=UUID(int=1)))["text"]
    assert said.startswith("In <#C1>: <@U2> says")
    assert "(version 00000000)" in said
