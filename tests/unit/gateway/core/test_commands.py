"""What people type after /doppel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.commands import (
    Ask,
    Cancel,
    Command,
    Consent,
    Debate,
    Help,
    Import,
    Limits,
    ListPersonas,
    Report,
    Rollback,
    Status,
    Switch,
    Train,
    Who,
    first_answer,
    parse,
)
from services.gateway.core.rules import Change

ADA = Who(user_id="U1")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("train <@U1|ada>", Train(ADA)),
        ("train <@W1>", Train(Who(user_id="W1"))),
        ("train U0ADA", Train(Who(user_id="U0ADA"))),
        ("train @ada", Train(Who(name="ada"))),
        ("train me", Train(Who(is_asker=True))),
        ("Train\u00a0 ada", Train(Who(name="ada"))),
        ("train Ada de Vries", Train(Who(name="Ada de Vries"))),
        ("train @jean-luc.p", Train(Who(name="jean-luc.p"))),
        ("report <@U1|ada>", Report(ADA)),
        ("report", Report(Who(is_asker=True))),
        ("rollback <@U1>", Rollback(ADA)),
        ("switch <@U1>", Switch(ADA)),
        ("switch <@U1> here", Switch(ADA, here=True)),
        ("switch Ada de Vries HERE", Switch(Who(name="Ada de Vries"), here=True)),
        ("switch off here", Switch(None, here=True)),
        ("switch default", Switch(None, to_default=True)),
        ("ask <@U1|ada> how was it?", Ask(ADA, "how was it?")),
        ("ask <@U1|ada>, how\n was it?", Ask(ADA, "how\n was it?")),
        ("ask @ada: so?", Ask(Who(name="ada"), "so?")),
        (
            "debate <@U1|ada> <@U2|bram> tabs or\nspaces?",
            Debate((ADA, Who(user_id="U2")), "tabs or\nspaces?"),
        ),
        ("debate @ada and @bram: tabs?", Debate((Who(name="ada"), Who(name="bram")), "tabs?")),
        ("debate <@U1>, me, tabs?", Debate((ADA, Who(is_asker=True)), "tabs?")),
        ("list", ListPersonas()),
        ("status", Status()),
        ("cancel", Cancel()),
        ("cancel <@U1>", Cancel(ADA)),
        ("consent", Consent()),
        ("consent Yes", Consent(granted=True)),
        ("consent withdraw", Consent(granted=False)),
        ("limits", Limits()),
        ("limits runs 5", Limits(Change("runs_a_day", 5))),
        ("Import", Import()),
        ("import export.zip", Import()),
        ("", Help()),
        ("help", Help()),
    ],
)
def test_commands(typed: str, expected: Command) -> None:
    assert parse(typed) == expected


@pytest.mark.parametrize(
    "typed",
    [
        "debate", "debate <@U1>", "debate <@U1> <@U2>", "debate <@U1> <@U1> hm", "debate <@U1> <!here> hm",
        "train", "train <!channel>", "train <@U1> <@U2>", "dance", "rollback", "switch", "switch here", "ask",
        "ask <@U1>", "ask <!channel> hi", "cancel <!here>", "consent maybe", "limits runs -1", "limits runs many",
        "limits guests perhaps", "limits dogs 3", "limits runs 99999999999999999999",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_explained(typed: str) -> None:
    command = parse(typed)
    assert isinstance(command, Help)
    assert command.problem
    assert command.problem in first_answer(command, "T1")


@given(st.text(max_size=5000))
def test_any_text_is_some_command(typed: str) -> None:
    for verb in ("", "train ", "ask ", "switch ", "limits ", "consent ", "cancel "):
        assert first_answer(parse(verb + typed), "T1")


def test_import_is_answered_with_the_very_line_to_run() -> None:
    assert "`doppel import FILE.zip --team T0ACME`" in first_answer(Import(), "T0ACME")
