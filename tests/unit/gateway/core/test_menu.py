"""The form: what is missing is said while it is open; what is whole is a command like any other."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.slack import Interaction
from services.gateway.core.commands import (
    Ask,
    Command,
    Debate,
    Help,
    ListPersonas,
    Report,
    Switch,
    Train,
    Who,
    parse,
)
from services.gateway.core.intake import NotUnderstood, interaction_of
from services.gateway.core.menu import CHOICES, command_of, errors_of, is_menu, render_button, render_menu

ADA = Who(user_id="U1")


def sent(
    what: str | None,
    *,
    who: str | None = None,
    other: str | None = None,
    text: str | None = None,
    here: bool = False,
    **more: Any,
) -> Interaction:
    values = {
        "what": {"what": {"type": "static_select", "selected_option": {"value": what} if what else None}},
        "who": {"who": {"type": "users_select", "selected_user": who}},
        "other": {"other": {"type": "users_select", "selected_user": other}},
        "text": {"text": {"type": "plain_text_input", "value": text}},
        "where": {"where": {"type": "checkboxes", "selected_options": [{"value": "here"}] if here else []}},
    }
    view = {"id": "V1", "callback_id": "menu", "private_metadata": "x", "state": {"values": values}} | more
    return Interaction.model_validate(
        {
            "type": "view_submission", "api_app_id": "A1", "team": {"id": "T1"}, "user": {"id": "U9"},
            "trigger_id": "1.2.3", "view": view,
        }
    )  # fmt: skip


def typed(pressed: Interaction) -> Command:
    assert pressed.view
    return parse(command_of(pressed.view))


@pytest.mark.parametrize(
    ("pressed", "expected"),
    [
        (sent("train", who="U1"), Train(ADA)),
        (sent("ask", who="U1", text=" how\nwas it? "), Ask(ADA, "how\nwas it?")),
        (sent("ask", who="U1", text="<@U2> & <!here>"), Ask(ADA, "&lt;@U2&gt; &amp; &lt;!here&gt;")),
        (sent("debate", who="U1", other="U2", text="tabs?"), Debate((ADA, Who(user_id="U2")), "tabs?")),
        (sent("switch", who="U1", here=True), Switch(ADA, here=True)),
        (sent("switch off", who="U1", here=True), Switch(None, here=True)),
        (sent("switch default"), Switch(None, to_default=True)),
        (sent("report", who="U1"), Report(ADA)),
        (sent("report"), Report(Who(is_asker=True))),
        (sent("list", who="U1", text="hm", here=True), ListPersonas()),
    ],
)
def test_a_whole_form_is_a_command(pressed: Interaction, expected: Command) -> None:
    assert errors_of(pressed) == {}
    assert typed(pressed) == expected


@pytest.mark.parametrize(
    ("pressed", "fields"),
    [
        (sent("train"), ["who"]),
        (sent("ask"), ["who", "text"]),
        (sent("ask", who="U1", text="  "), ["text"]),
        (sent(None), ["what"]),
        (sent("dance"), ["what"]),
        (sent("rollback"), ["who"]),
        (sent("debate"), ["who", "other", "text"]),
        (sent("debate", who="U1", other="U1", text="hm"), ["other"]),
    ],
)
def test_what_is_missing_is_said_at_its_field(pressed: Interaction, fields: list[str]) -> None:
    assert list(errors_of(pressed)) == fields


def test_another_apps_form_is_left_alone() -> None:
    other = sent("dance", callback_id="theirs")
    assert not is_menu(other.view)
    assert errors_of(other) == {}


def test_every_choice_is_a_command() -> None:
    for what in CHOICES:
        command = typed(sent(what, who="U1", other="U2", text="so?"))
        assert command == Help() if what == "help" else not isinstance(command, Help), what


@given(st.text(max_size=2000), st.sampled_from(sorted(CHOICES)), st.booleans())
def test_any_words_stay_words(text: str, what: str, here: bool) -> None:
    command = typed(sent(what, who="U1", other="U2", text=text, here=here))
    if isinstance(command, Ask):
        assert command.who == ADA
        assert "<" not in command.text
    if isinstance(command, Debate):
        assert command.speakers == (ADA, Who(user_id="U2"))
        assert "<" not in command.topic


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["what", "who", "values", "selected_option", "value", "id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_a_form_that_slack_never_sent_is_refused_or_incomplete(view: object, state: object) -> None:
    payload = {
        "type": "view_submission", "api_app_id": "A1", "team": {"id": "T1"}, "user": {"id": "U9"},
        "trigger_id": "1.2.3",
    }  # fmt: skip
    for tried in (view, {"id": "V1", "callback_id": "menu", "state": state}):
        with contextlib.suppress(NotUnderstood):
            event = interaction_of(payload | {"view": tried}, datetime.now(UTC))
            assert isinstance(event.payload, Interaction)
            errors_of(event.payload)


def test_the_form_fits_slacks_limits() -> None:
    view = render_menu("m" * 2000, has_channel=True)
    assert len(view["private_metadata"]) <= 3000
    for name in ("title", "submit", "close"):
        assert 0 < len(view[name]["text"]) <= 24
    (what,) = [each["element"] for each in view["blocks"] if each["block_id"] == "what"]
    assert len(what["options"]) <= 100
    assert all(len(each["text"]["text"]) <= 75 and len(each["value"]) <= 75 for each in what["options"])
    assert [each["block_id"] for each in render_menu("", has_channel=False)["blocks"]] == [
        "what",
        "who",
        "other",
        "text",
    ]
    assert render_button()["blocks"][1]["elements"][0]["action_id"] == "menu_open"
