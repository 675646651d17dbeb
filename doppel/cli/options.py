"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
TIMEOUT_S: Final = 3600.0


def _workspace(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (
        value[:1] in ("T", "E") and value.isalnum() and value == value.upper() and 2 <= len(value) <= 31
    ):
        raise click.BadParameter("a workspace's id looks like T0AB12CD")
    return value


json_line = click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
team = click.option(
    "--team", "team_id", required=True, metavar="T…", callback=_workspace, help="The workspace."
)
maybe_team = click.option(
    "--team", "team_id", metavar="T…", callback=_workspace, help="The workspace, where there are several."
)
user = click.option("--user", "who", metavar="WHO", help="An id, a handle or a unique display name.")
someone = click.option(
    "--user", "who", metavar="WHO", required=True, help="An id, a handle or a unique display name."
)
_wait = click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to the outcome.")
_timeout = click.option(
    "--timeout", "timeout_s", type=float, default=TIMEOUT_S, show_default=True, help="How long, in seconds."
)


def waits(command: F) -> F:
    """``--wait`` (the default) follows to the outcome; ``--no-wait`` returns after JetStream's ack."""
    return _wait(_timeout(command))
