"""``doppel import · consent · scrape · train``: from a history to an adapter."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from doppel.cli import options, work
from doppel.cli.facts import open_bus
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from doppel.storage import Storage
from proto import artifacts, subjects
from proto.persona import PersonaRequest, PersonaResult
from proto.scrape import ScrapeRequest, ScrapeResult
from proto.train import RecipeOverrides

KINDS: Final = {".zip": "export"}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.team
@options.waits
@options.json_line
def import_(file: Path, team_id: str, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Upload a Slack export (ZIP) and read it into a corpus."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise click.BadParameter(f"{file.name} is none of {', '.join(KINDS)}")

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        key = await _upload(target, team_id, file)
        request = _scrape_request(team_id, f"{kind}:{key}")
        async with open_bus(target.bus) as bus:
            if not wait:
                await work.publish_scrape(bus, request)
                return terminal.done(request_id=request.request_id, key=key)
            result = await work.scrape(terminal, bus, request, f"import of {file.name}", timeout_s=timeout_s)
        _tell_corpus(terminal, result)
        return terminal.done(result=result.model_dump(mode="json"))

    run(work_, as_json=as_json)


async def _upload(target: Target, team_id: str, file: Path) -> str:
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    key = artifacts.export_key(team_id, sha256, file.suffix.lower().removeprefix("."))
    storage = Storage(target.storage)
    try:
        if not await storage.exists(key):
            await storage.put_file(key, file)
    finally:
        storage.close()
    return key


def _scrape_request(
    team_id: str, source: str, user_id: str | None = None, *, then_train: bool = False
) -> ScrapeRequest:
    return ScrapeRequest(
        request_id=work.new_request_id(),
        team_id=team_id,
        source=source,
        user_id=user_id,
        then_train=then_train,
        requested_at=datetime.now(UTC),
    )


def _tell_corpus(terminal: Terminal, result: ScrapeResult) -> None:
    terminal.say(
        f"Corpus {result.corpus_id}: {result.message_count:,} messages in {result.channel_count} channels."
    )
    if result.samples is not None:
        counts = result.samples
        terminal.say(
            f"Dataset {result.dataset_id}: {counts.train} to learn from, {counts.validation} + {counts.test} held out."
        )


@click.command()
@options.team
@click.option(
    "--source", default="api", show_default=True, help="api, corpus:latest, export:<key> or text:<key>."
)
@options.user
@options.waits
@options.json_line
def scrape(
    team_id: str, source: str, who: str | None, *, wait: bool, timeout_s: float, as_json: bool
) -> None:
    """Read a workspace's history into a corpus; with --user, cut that person's dataset too."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        user_id = (await resolve(target, team_id, who)).user_id if who else None
        request = _scrape_request(team_id, source, user_id)
        async with open_bus(target.bus) as bus:
            if not wait:
                await work.publish_scrape(bus, request)
                return terminal.done(request_id=request.request_id)
            result = await work.scrape(terminal, bus, request, f"history of {team_id}", timeout_s=timeout_s)
        _tell_corpus(terminal, result)
        return terminal.done(result=result.model_dump(mode="json"))

    run(work_, as_json=as_json)


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
        assert request.request_id is not None
        async with open_bus(target.bus) as bus:
            reader = await work.facts(bus, "persona")
            await bus.publish(subjects.PERSONA_REQUEST, request, key=str(request.request_id))
            if wait:
                await work.outcome(reader, request.request_id, PersonaResult, timeout_s=timeout_s)
        terminal.say(f"Recorded: {person.user_id} said {'yes' if granted else 'no'}.")
        terminal.done(request_id=request.request_id, user_id=person.user_id, granted=granted)

    run(work_, as_json=as_json)


@click.command()
@options.team
@options.someone
@click.option("--epochs", type=int, help="Times through the dataset.")
@click.option("--max-steps", type=int, help="At most so many optimizer steps.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--lora-rank", type=int, help="1, 8, 16, 32, 64 or 128.")
@options.waits
@options.json_line
def train(
    team_id: str,
    who: str,
    epochs: int | None,
    max_steps: int | None,
    learning_rate: float | None,
    lora_rank: int | None,
    *,
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Cut a fresh dataset of one person from the newest corpus and train their adapter."""
    wanted = {
        "epochs": epochs,
        "max_steps": max_steps,
        "learning_rate": learning_rate,
        "lora_rank": lora_rank,
    }
    try:
        overrides = RecipeOverrides.model_validate({k: v for k, v in wanted.items() if v is not None})
    except ValueError as error:
        raise click.UsageError("A number is out of range; `doppel train --help` lists them.") from error

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        person = await resolve(target, team_id, who)
        request = _scrape_request(team_id, "corpus:latest", person.user_id, then_train=True)
        request = request.model_copy(update={"overrides": overrides})
        async with open_bus(target.bus) as bus:
            if not wait:
                await work.publish_scrape(bus, request)
                return terminal.done(request_id=request.request_id, user_id=person.user_id)
            result = await work.train(terminal, bus, request, person.name, timeout_s=timeout_s)
        terminal.say(
            f"Run {result.run_id} {result.state.value}: {losses(result.base_test_loss, result.test_loss)}."
        )
        return terminal.done(result=result.model_dump(mode="json"))

    run(work_, as_json=as_json)


def losses(before: float | None, after: float | None) -> str:
    """``held-out loss 4.103 → 3.518 nats a token``"""
    if before is None or after is None:
        return "no held-out loss"
    return f"held-out loss {before:.3f} → {after:.3f} nats a token"


COMMANDS: Final[tuple[click.Command, ...]] = (import_, scrape, consent, train)
