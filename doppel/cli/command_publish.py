"""``doppel publish SUBJECT JSON``: any command by hand, as a plain NATS client would."""

import json
from typing import Final
from uuid import uuid4

import click
from pydantic import ValidationError

from doppel.bus import Bus
from doppel.bus.names import MESSAGE_ID, SCHEMA
from doppel.cli import options, work
from doppel.cli.bars import bar
from doppel.cli.facts import open_bus
from doppel.cli.target import Target
from doppel.cli.terminal import Terminal, run
from proto.body import SCHEMA_VERSION, id_of_delivery
from proto.subjects import RESULT_OF, Subject, command_of, subject_of
from proto.train import TrainRequest, run_id_of


@click.command()
@click.argument("subject")
@click.argument("body")
@click.option("--raw", is_flag=True, help="Publish the bytes as they are, also where they are no valid body.")
@options.waits
@options.json_line
def publish(subject: str, body: str, *, raw: bool, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Publish BODY (JSON) on SUBJECT and, for a command, follow it to its outcome."""
    known = subject_of(subject)
    if known is None or known.stream is None:
        raise click.BadParameter(f"{subject} is on no stream; docs/reference/subjects.md lists them.")
    if not raw:
        check(known, body)

    async def work_(terminal: Terminal) -> None:
        async with open_bus(Target.find().bus) as bus:
            result_subject = RESULT_OF.get(command_of(subject) or "")
            follow = wait and not raw and result_subject is not None
            reader = await work.facts(bus, known.name.partition(".")[0]) if follow else None
            sequence = await _publish(bus, subject, body.encode(), known.stream or "")
            terminal.say(f"Stored in {known.stream} as number {sequence}.")
            if reader is None or result_subject is None:
                return terminal.done(stream=known.stream, sequence=sequence)
            request = known.body.model_validate_json(body)
            request_id = getattr(request, "request_id", None) or id_of_delivery(known.stream or "", sequence)
            about = (
                run_id_of(request_id, request.user_id) if isinstance(request, TrainRequest) else request_id
            )
            with bar(terminal.people, subject) as line:
                result = await work.outcome(
                    reader, about, result_subject.body, timeout_s=timeout_s, show=line.show
                )
        facts = result.model_dump(mode="json")
        if not as_json:
            terminal.say(json.dumps(facts, indent=1, ensure_ascii=False))
        return terminal.done(stream=known.stream, sequence=sequence, result=facts)

    run(work_, as_json=as_json)


def check(subject: Subject, body: str) -> None:
    """Raises a usage error that says which field is wrong."""
    try:
        subject.body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise click.BadParameter(
            f"{place}: {first['msg']} (see proto/schema/{subject.body.__name__}.json)"
        ) from error


async def _publish(bus: Bus, subject: str, data: bytes, stream: str) -> int:
    headers = {"content-type": "application/json", SCHEMA: SCHEMA_VERSION, MESSAGE_ID: f"ops-{uuid4()}"}
    return (await bus.jetstream.publish(subject, data, stream=stream, timeout=5, headers=headers)).seq


COMMANDS: Final[tuple[click.Command, ...]] = (publish,)
