"""What the command takes, and what it says to bad usage: exit code 2."""

import click
import pytest
from click.testing import CliRunner

from doppel.cli.command_stack import parse_scale
from doppel.cli.root import cli


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, arguments)
    return result.exit_code, result.output


def test_scale_is_read() -> None:
    assert parse_scale(("inference=2", "gateway=3")) == {"inference": 2, "gateway": 3}
    assert parse_scale(()) == {}


@pytest.mark.parametrize("value", ["inference", "inference=0", "inference=x", "nats=2", "=2", "gateway=99"])
def test_a_scale_that_means_nothing_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_scale((value,))


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "--team", "T0X"),
        ("train", "--team", "../x", "--user", "ada"),
        ("train", "--team", "T0X", "--user", "ada", "--lora-rank", "7"),
        ("consent", "record", "--team", "T0X", "--user", "ada", "--reason", "said so"),
        ("import", "no-such-file.zip", "--team", "T0X"),
        ("publish", "no.such.subject", "{}"),
        ("publish", "train.request", "{oops"),
        ("publish", "train.request", '{"team_id": "../../x", "user_id": "U0ADA"}'),
        ("up", "--scale", "x=1"),
        ("frobnicate",),
    ],
)
def test_bad_usage_ends_with_two(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments)[0] == 2


def test_what_is_wrong_with_a_body_is_said_without_quoting_it() -> None:
    _, output = invoke("publish", "generate.request", '{"team_id": "T0X", "turns": "secret words"}')
    assert "turns" in output
    assert "secret words" not in output


def test_every_command_says_what_it_does() -> None:
    def walk(command: click.Command) -> None:
        assert command.help or isinstance(command, click.Group), command.name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (command.name, parameter.name)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child)

    walk(cli)


def test_a_new_key_is_one_that_tokens_can_be_sealed_with() -> None:
    from cryptography.fernet import Fernet

    code, output = invoke("keys", "new")
    assert code == 0
    Fernet(output.strip())
