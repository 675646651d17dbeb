"""``doppel dead list · show``: what could not be processed, and why."""

from collections.abc import AsyncGenerator
from typing import Any, Final, cast

import click
import nats.js.errors
from nats.js.api import RawStreamMsg
from rich.table import Table

from doppel.bus import Bus, names
from doppel.cli import options
from doppel.cli.facts import open_bus
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run, write_json
from proto.subjects import DEAD_PREFIX

STREAM: Final = "DEAD"


@click.group()
def dead() -> None:
    """Messages that were parked."""


@dead.command("list")
@click.option("--limit", type=int, default=100, show_default=True, help="The newest so many.")
@options.json_line
def list_(limit: int, *, as_json: bool) -> None:
    """List dead letters, oldest first."""

    async def work(terminal: Terminal) -> None:
        async with open_bus(Target.find().bus) as bus:
            found = [describe(message) async for message in _letters(bus)][-limit:]
        table = Table("number", "subject", "code", "reason", "deliveries", "bytes")
        for letter in found:
            table.add_row(
                *(str(letter[k]) for k in ("number", "subject", "code", "reason", "deliveries", "bytes"))
            )
        terminal.show(table if found else "Nothing is parked.")
        terminal.done(letters=found)

    run(work, as_json=as_json)


@dead.command()
@click.argument("number", type=int)
@options.json_line
def show(number: int, *, as_json: bool) -> None:
    """Show one dead letter with its bytes. They may hold what people wrote."""

    async def work(terminal: Terminal) -> None:
        async with open_bus(Target.find().bus) as bus:
            try:
                message = await bus.jetstream.get_msg(STREAM, seq=number)
            except nats.js.errors.NotFoundError:
                raise Failure(f"There is no dead letter {number}; `doppel dead list` shows them.") from None
        letter = describe(message) | {"body": (message.data or b"").decode(errors="backslashreplace")}
        if as_json:
            return write_json({"ok": True, **letter})
        for name, value in letter.items():
            terminal.say(f"{name:>11}  {value}")
        return None

    run(work, as_json=as_json)


def describe(message: RawStreamMsg) -> dict[str, Any]:
    """One dead letter without its bytes."""
    headers = cast("dict[str, str]", message.headers or {})  # pyright: ignore[reportUnknownMemberType]
    return {
        "number": message.seq,
        "subject": message.subject,
        "came_as": (message.subject or "").removeprefix(DEAD_PREFIX),
        "code": headers.get(names.DEAD_CODE, ""),
        "reason": headers.get(names.DEAD_REASON, ""),
        "stack": headers.get(names.DEAD_STACK, ""),
        "deliveries": headers.get(names.DEAD_DELIVERIES, ""),
        "origin": f"{headers.get(names.DEAD_STREAM, '')}:{headers.get(names.DEAD_SEQUENCE, '')}",
        "bytes": len(message.data or b""),
        "at": str(message.time or ""),
    }


async def _letters(bus: Bus) -> AsyncGenerator[RawStreamMsg]:
    number = (await bus.jetstream.stream_info(STREAM)).state.first_seq
    while True:
        try:
            message = await bus.jetstream.get_msg(STREAM, seq=number, subject=f"{DEAD_PREFIX}>", next=True)
        except nats.js.errors.NotFoundError:
            return
        yield message
        number = (message.seq or number) + 1


COMMANDS: Final[tuple[click.Command, ...]] = (dead,)
