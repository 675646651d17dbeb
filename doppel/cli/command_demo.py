"""``doppel demo``: bring everything up, play the story, show both answers side by side."""

from typing import Final

import aiohttp
import click
from rich.table import Table
from rich.text import Text

from doppel.cli import options
from doppel.cli.command_history import losses
from doppel.cli.command_stack import bring_up, opened_stack, unless_it_ends, until_it_ends
from doppel.cli.demo.box import Box
from doppel.cli.demo.steps import Steps
from doppel.cli.demo.story import QUESTION, Outcome, Story
from doppel.cli.facts import open_bus
from doppel.cli.terminal import Failure, Terminal, run
from doppel.local.settings import LocalSettings
from doppel.local.stack import SLOWEST
from doppel.settings import BusSettings


@click.command()
@click.option("--once", is_flag=True, help="End after the answer: 0, or non-zero where a step failed.")
@options.json_line
def demo(*, once: bool, as_json: bool) -> None:
    """Bring everything up, train a persona and answer in that voice. Stays up until Ctrl-C."""

    async def work(terminal: Terminal) -> None:
        if LocalSettings.read().real_slack:
            raise Failure(
                "The demo plays in the playground, not in a real workspace; unset DOPPEL_SLACK_BOT_TOKEN."
            )
        await _demo(terminal, once=once)

    run(work, as_json=as_json)


async def _demo(terminal: Terminal, *, once: bool) -> None:
    steps, outcome = Steps(terminal), Outcome()
    try:
        async with opened_stack(terminal, {}, steps.tell) as (stack, stop):
            with steps.step("servers, set-up, services, playground"):
                await bring_up(
                    stack, stop, steps.tell, not_yet=SLOWEST
                )  # it loads while a persona is trained
            url = str(stack.fleet.playground_url)
            terminal.say(f"The workspace is at {url}")
            async with (
                open_bus(BusSettings(nats_url=stack.servers.nats_url)) as bus,
                aiohttp.ClientSession() as http,
            ):
                story = Story(Box(http, url), bus, steps, lambda: stack.until_all_serve(steps.tell), outcome)
                await unless_it_ends(stack, stop, story.play())
            _show(terminal, steps, outcome, url)
            if not once:
                terminal.say("Ctrl-C ends it.")
                terminal.done(steps=steps.facts, **outcome.facts(), url=url)
                await until_it_ends(stack, stop)
        if once:
            terminal.done(steps=steps.facts, **outcome.facts(), url=url)
    except Failure as error:
        error.facts |= {"steps": steps.facts, **outcome.facts()}
        raise


def _show(terminal: Terminal, steps: Steps, outcome: Outcome, url: str) -> None:
    """Both answers side by side, what was learnt, how long it took, where to look."""
    answers = Table(
        "the plain base model", outcome.persona_name or "the persona", title=QUESTION, show_lines=True
    )
    answers.add_row(Text(outcome.base_answer or ""), Text(outcome.persona_answer or ""))
    terminal.show(answers)
    times = Table("step", "seconds", show_footer=True)
    for name, seconds in steps.done:
        times.add_row(name, f"{seconds:.1f}")
    times.columns[0].footer = "all"
    times.columns[1].footer = f"{sum(seconds for _, seconds in steps.done):.1f}"
    terminal.show(times)
    terminal.say(losses(outcome.loss_before, outcome.loss_after))
    terminal.say(f"See it in the browser: {url}")


COMMANDS: Final[tuple[click.Command, ...]] = (demo,)
