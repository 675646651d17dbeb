"""How the command speaks: progress for people on stderr, results on stdout, one JSON line last where asked for."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import asyncpg
import click
import nats.errors
import nats.js.errors
from minio.error import S3Error
from rich.console import Console
from urllib3.exceptions import HTTPError

from doppel.database import NOT_LET_IN, not_let_in
from doppel.settings import SettingsError, TelemetrySettings
from doppel.telemetry import set_up_logging
from doppel.transient import innermost
from proto.errors import DoppelError

FAILED: Final = 1
WIDE: Final = 160
_MENTION: Final = re.compile(r"<@([A-Z0-9]+)>")  # Slack shows a name there, a terminal would not
_AWAY: Final = (
    OSError,
    TimeoutError,
    nats.errors.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    HTTPError,
)


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or a closed terminal, before the work was done."""


class Failure(Exception):
    """One sentence for the person at the terminal, and the facts for ``--json``."""

    def __init__(self, sentence: str, **facts: Any) -> None:
        super().__init__(sentence)
        self.facts = facts


@dataclass
class Terminal:
    """Where a command writes."""

    as_json: bool = False
    people: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))
    result: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    _is_done: bool = False

    def __post_init__(self) -> None:
        """In a file or a pipe nothing need be squeezed into 80 columns."""
        for console in (self.people, self.result):
            if not console.is_terminal:
                console.width = WIDE

    def say(self, text: str) -> None:
        """Something for people: stdout, unless that belongs to the JSON line."""
        (self.people if self.as_json else self.result).print(text, markup=False)

    def aside(self, text: str) -> None:
        """What goes on meanwhile; nothing follows the JSON line."""
        if not self._is_done:
            self.people.print(f"  {text}", markup=False, style="dim")

    def show(self, renderable: Any) -> None:
        """A table or a panel for people."""
        (self.people if self.as_json else self.result).print(renderable)

    def done(self, **facts: Any) -> None:
        """The outcome as the last line, where asked for."""
        if self.as_json:
            write_json({"ok": True, **facts})
            self._is_done = True


def write_json(facts: dict[str, Any]) -> None:
    """One line on stdout."""
    sys.stdout.write(json.dumps(facts, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def run(work: Callable[[Terminal], Coroutine[Any, Any, None]], *, as_json: bool = False) -> None:
    """Run a command's work and turn its errors into one sentence and an exit code."""
    terminal = Terminal(as_json)
    set_up_logging(TelemetrySettings(log_level="ERROR"))
    try:
        asyncio.run(work(terminal))
    except (KeyboardInterrupt, Interrupted):
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  the command's own door: _fail raises again what it does not know
        _fail(terminal, error)


def _fail(terminal: Terminal, error: BaseException) -> NoReturn:
    error = innermost(error)
    sentence, code, facts = describe(error)
    if sentence is None:
        raise error
    terminal.people.print(_MENTION.sub(r"\1", sentence), style="red", markup=False)
    if terminal.as_json:
        write_json({"ok": False, "error": {"code": code, "message": sentence}, **facts})
    sys.exit(FAILED)


def describe(error: BaseException) -> tuple[str | None, str, dict[str, Any]]:
    """An error as one sentence, a code and further facts. No sentence: a bug of ours, shown as it is."""
    if isinstance(error, Failure):
        facts = dict(error.facts)
        return str(error), str(facts.pop("code", "failed")), facts
    if isinstance(error, DoppelError):
        return str(error), error.code, {}
    if isinstance(error, SettingsError):
        return str(error), "settings", {}
    if isinstance(error, click.ClickException):
        return error.format_message(), "usage", {}
    if isinstance(error, nats.js.errors.NotFoundError):
        return "The bus is not provisioned yet. Run `doppel bus apply` (or `doppel up`).", "unavailable", {}
    if isinstance(error, NOT_LET_IN):
        return not_let_in(error), "settings", {}
    if isinstance(error, S3Error):
        return f"S3 says {error.code}: {error.message}. DOPPEL_S3_… name server, user and bucket.", "s3", {}
    if isinstance(error, _AWAY):
        what = type(error).__name__ if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return (
            f"A server can't be reached ({what}). Is the stack up? `doppel status` says.",
            "unavailable",
            {},
        )
    return None, "internal", {}
