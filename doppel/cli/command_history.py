"""``doppel scrape · train``: from a history to an adapter."""

from typing import Final

import click

from doppel.cli import options, work
from doppel.cli.facts import open_bus
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from proto.train import RecipeOverrides


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
        request = work.scrape_request(team_id, source, user_id)
        async with open_bus(target.bus) as bus:
            if not wait:
                await work.publish_scrape(bus, request)
                return terminal.done(request_id=request.request_id)
            result = await work.scrape(terminal, bus, request, f"history of {team_id}", timeout_s=timeout_s)
        work.tell_corpus(terminal, result)
        return terminal.done(result=result.model_dump(mode="json"))

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
        request = work.scrape_request(team_id, "corpus:latest", person.user_id, then_train=True)
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


COMMANDS: Final[tuple[click.Command, ...]] = (scrape, train)
