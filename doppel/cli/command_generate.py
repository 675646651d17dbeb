"""``doppel generate``: an answer of a persona, or of the plain base model, at the terminal."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Final

import click
from nats.aio.msg import Msg
from rich.table import Table

from doppel.bus import Bus
from doppel.cli import options, work
from doppel.cli.facts import open_bus
from doppel.cli.people import resolve
from doppel.cli.samples import SAMPLES
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from proto import subjects
from proto.conversation import UNKNOWN_SPEAKER, Turn
from proto.generate import GenerateRequest, GenerateResult, Sampling, TokenDelta


def question(
    team_id: str,
    user_id: str | None,
    text: str,
    *,
    timeout_s: float,
    temperature: float,
    seed: int | None = None,
    speaker: str = UNKNOWN_SPEAKER,
) -> GenerateRequest:
    """One request, as the gateway would ask for a mention by somebody."""
    return GenerateRequest(
        request_id=work.new_request_id(),
        team_id=team_id,
        user_id=user_id,
        turns=(Turn(role="user", content=f"{speaker}: {text}"),),
        sampling=Sampling(temperature=temperature, seed=seed),
        deadline_at=datetime.now(UTC) + timedelta(seconds=timeout_s),
    )


async def ask(bus: Bus, request: GenerateRequest, *, timeout_s: float) -> GenerateResult:
    """Publish a question and wait for its answer. Raises Failure."""
    assert request.request_id is not None
    reader = await work.facts(bus, "generate")
    await bus.publish(subjects.GENERATE_REQUEST, request, key=str(request.request_id))
    return await work.outcome(reader, request.request_id, GenerateResult, timeout_s=timeout_s)


@click.command()
@options.team
@options.user
@click.option(
    "--text", "texts", multiple=True, help="What to say to them; without it, a list of sample inputs."
)
@click.option(
    "--as", "speaker", default=UNKNOWN_SPEAKER, show_default=True, help="Who says it: a display name."
)
@click.option(
    "--temperature", type=float, default=0.7, show_default=True, help="0 is always the likeliest word."
)
@click.option("--seed", type=int, help="The same seed draws the same words.")
@options.waits
@options.json_line
def generate(
    team_id: str,
    who: str | None,
    texts: tuple[str, ...],
    speaker: str,
    temperature: float,
    seed: int | None,
    *,
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Ask a persona (--user) or the plain base model (without it)."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        user_id = (await resolve(target, team_id, who)).user_id if who else None
        requests = [
            question(
                team_id,
                user_id,
                text,
                timeout_s=timeout_s,
                temperature=temperature,
                seed=seed,
                speaker=speaker,
            )
            for text in texts or SAMPLES
        ]
        async with open_bus(target.bus) as bus:
            if not wait:
                for request in requests:
                    await bus.publish(subjects.GENERATE_REQUEST, request, key=str(request.request_id))
                return terminal.done(request_ids=[request.request_id for request in requests])
            if len(requests) == 1:
                async with _streamed(terminal, bus, requests[0]):
                    answers = [await ask(bus, requests[0], timeout_s=timeout_s)]
            else:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(ask(bus, one, timeout_s=timeout_s)) for one in requests]
                answers = [task.result() for task in tasks]
        _show(terminal, texts or SAMPLES, answers)
        return terminal.done(
            answers=[
                {"text": text, "answer": answer.text, "run_id": answer.run_id}
                for text, answer in zip(texts or SAMPLES, answers, strict=True)
            ]
        )

    run(work_, as_json=as_json)


@contextlib.asynccontextmanager
async def _streamed(terminal: Terminal, bus: Bus, request: GenerateRequest) -> AsyncGenerator[None]:
    """Show the pieces as they come, where somebody watches; the result carries the whole anyway."""
    if not terminal.people.is_terminal:
        yield
        return

    async def show(message: Msg) -> None:
        delta = TokenDelta.model_validate_json(message.data)
        terminal.people.print(delta.text, end="\n" if delta.done else "", markup=False, style="dim")

    subscription = await bus.client.subscribe(f"generate.token.{request.request_id}", cb=show)  # pyright: ignore[reportUnknownMemberType]
    try:
        yield
    finally:
        await subscription.unsubscribe()


def _show(terminal: Terminal, texts: tuple[str, ...], answers: list[GenerateResult]) -> None:
    if len(answers) == 1:
        return terminal.say(answers[0].text or "")
    table = Table("said", "answered", show_lines=True)
    for text, answer in zip(texts, answers, strict=True):
        table.add_row(text, answer.text or "")
    return terminal.show(table)


COMMANDS: Final[tuple[click.Command, ...]] = (generate,)
