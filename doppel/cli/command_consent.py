"""``doppel consent``: what people have agreed to."""

from datetime import UTC, datetime
from typing import Final

import click

from doppel.cli import options, work
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from proto.persona import PersonaRequest


@click.group()
def consent() -> None:
    """What people have agreed to."""


@consent.command("record")
@options.team
@options.someone
@click.option("--yes/--no", "granted", default=None, help="What the person said.")
@click.option("--reason", required=True, help="How you know; kept in the ledger.")
@options.waits
@options.json_line
def record(
    team_id: str, who: str, granted: bool | None, reason: str, *, wait: bool, timeout_s: float, as_json: bool
) -> None:
    """Record a person's yes or no on your word. They are told where the workspace is connected."""
    if granted is None:
        raise click.UsageError("Say --yes or --no.")

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        person = await resolve(target, team_id, who)
        request = PersonaRequest(
            request_id=work.new_request_id(),
            team_id=team_id,
            user_id=person.user_id,
            granted=granted,
            reason=reason,
            name=(person.display_name or person.handle or None),
            requested_at=datetime.now(UTC),
        )
        await work.ask_persona(target.bus, request, wait=wait, timeout_s=timeout_s)
        terminal.say(f"Recorded: {person.user_id} said {'yes' if granted else 'no'}.")
        terminal.done(request_id=request.request_id, user_id=person.user_id, granted=granted)

    run(work_, as_json=as_json)


COMMANDS: Final[tuple[click.Command, ...]] = (consent,)
