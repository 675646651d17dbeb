"""``doppel purge``: forget a person, and prove that nothing is left of them."""

from datetime import UTC, datetime
from typing import Final

import click
from rich.table import Table

from doppel.cli import options, work
from doppel.cli.facts import FactReader, open_bus
from doppel.cli.looking import (
    Person,
    Seen,
    look_at_bucket,
    look_at_replicas,
    look_at_streams,
    look_at_tables,
)
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.cli.versions import the_team
from doppel.storage import Storage
from proto import subjects
from proto.persona import PersonaPurged, PersonaRequest, purge_id_of

SERVICES: Final = ("scraper", "trainer")


@click.command()
@click.argument("who")
@options.some_team
@click.option("--verify", is_flag=True, help="Delete nothing: look into every store and say what is left.")
@click.option("--reason", default="", help="Why; kept in the ledger.")
@options.waits
@options.json_line
def purge(
    who: str, team_id: str | None, reason: str, *, verify: bool, wait: bool, timeout_s: float, as_json: bool
) -> None:
    """Forget WHO: samples, versions, reports, their messages in every corpus. It can't be undone.

    With --verify it ends with 1 where anything is left of them.
    """

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        team = await the_team(target, team_id)
        person = await resolve(target, team, who)
        if verify:
            return await _verify(terminal, target, Person(team, person.user_id))
        request = PersonaRequest(
            request_id=work.new_request_id(),
            team_id=team,
            user_id=person.user_id,
            action="forget",
            reason=reason,
            requested_at=datetime.now(UTC),
        )
        return await _forget(terminal, target, request, wait=wait, timeout_s=timeout_s)

    run(work_, as_json=as_json)


async def _forget(
    terminal: Terminal, target: Target, request: PersonaRequest, *, wait: bool, timeout_s: float
) -> None:
    """Ask the gateway, then wait until each service has done the first round."""
    assert request.request_id is not None
    purge_id = purge_id_of(f"operator/{request.request_id}")
    removed: dict[str, dict[str, int]] = {}
    async with open_bus(target.bus) as bus:
        purged = await FactReader.open(bus.jetstream, "FACTS", subjects.PERSONA_PURGED.name)
        await work.ask_persona(target.bus, request, wait=wait, timeout_s=timeout_s)
        if not wait:
            return terminal.done(request_id=request.request_id, purge_id=purge_id)
        async for told in purged.follow(purge_id, timeout_s=timeout_s):
            if isinstance(told, PersonaPurged):
                removed[told.service] = told.removed
                counts = ", ".join(f"{count} {kind}" for kind, count in told.removed.items() if count)
                terminal.aside(f"{told.service}: {counts or 'nothing was there'}")
            if removed.keys() >= set(SERVICES):
                break
    terminal.say(f"{request.user_id} is forgotten. `doppel purge --verify {request.user_id}` looks again.")
    return terminal.done(purge_id=purge_id, user_id=request.user_id, removed=removed)


async def _verify(terminal: Terminal, target: Target, person: Person) -> None:
    """Raises Failure where anything is left."""
    storage = Storage(target.storage)
    try:
        seen = [*await look_at_tables(target, person), *await look_at_bucket(storage, person)]
    finally:
        storage.close()
    async with open_bus(target.bus) as bus:
        seen += await look_at_streams(bus, person)
        seen += await look_at_replicas(bus, person, _expected(target))
    _show(terminal, seen)
    left = [each for each in seen if each.is_left]
    facts = {"user_id": person.user_id, "team_id": person.team_id, "looked": [each.facts() for each in seen]}
    if left:
        places = ", ".join(f"{each.store} {each.place}" for each in left[:5])
        raise Failure(
            f"Something is left of {person.user_id}: {places}. A purge under way takes some minutes; "
            f"`doppel purge {person.user_id}` begins one.",
            code="left",
            **facts,
        )
    terminal.say(f"Nothing is left of {person.user_id}: {len(seen)} places were looked into.")
    terminal.done(left=0, **facts)


def _expected(target: Target) -> dict[str, int]:
    """How many replicas run here; elsewhere nobody knows."""
    names = [] if target.local is None else list(target.local.pids)
    return {
        service: sum(name == service or name.startswith(f"{service}-") for name in names)
        for service in ("inference", "trainer")
    }


def _show(terminal: Terminal, seen: list[Seen]) -> None:
    table = Table("store", "place", "found")
    for each in seen:
        table.add_row(each.store, each.place, f"{each.found} ({each.kept})" if each.kept else str(each.found))
    terminal.show(table)


COMMANDS: Final[tuple[click.Command, ...]] = (purge,)
