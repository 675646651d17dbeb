"""What people type after /doppel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.core.commands import Command, Help, Import, Status, Train, Who, first_answer, parse


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("train <@U1|ada>", Train(Who(user_id="U1"))),
        ("train <@W1>", Train(Who(user_id="W1"))),
        ("train U0ADA", Train(Who(user_id="U0ADA"))),
        ("train @ada", Train(Who(name="ada"))),
        ("Train\u00a0 ada", Train(Who(name="ada"))),
        ("train Ada de Vries", Train(Who(name="Ada de Vries"))),
        ("train @jean-luc.p", Train(Who(name="jean-luc.p"))),
        ("status", Status()),
        ("Import", Import()),
        ("import export.zip", Import()),
        ("", Help()),
        ("help", Help()),
    ],
)
def test_commands(typed: str, expected: Command) -> None:
    assert parse(typed) == expected


@pytest.mark.parametrize("typed", ["train", "train <!channel>", "train <@U1> <@U2>", "dance"])
def test_what_is_not_understood_is_explained(typed: str) -> None:
    command = parse(typed)
    assert isinstance(command, Help)
    assert command.problem
    assert command.problem in first_answer(command, "T1")


@given(st.text(max_size=5000))
def test_any_text_is_some_command(typed: str) -> None:
    assert first_answer(parse(typed), "T1")
    assert first_answer(parse(f"train {typed}"), "T1")


def test_import_is_answered_with_the_very_line_to_run() -> None:
    assert "`doppel import FILE.zip --team T0ACME`" in first_answer(Import(), "T0ACME")
