"""Publish a command, follow its progress, come back with its outcome."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

from doppel.bus import Bus
from doppel.cli.bars import bar
from doppel.cli.facts import FactReader, open_bus
from doppel.cli.terminal import Failure, Terminal
from doppel.settings import BusSettings
from proto import subjects
from proto.adapter import AdapterRequest
from proto.body import Body, ErrorInfo
from proto.persona import PersonaRequest, PersonaResult
from proto.scrape import ScrapeRequest, ScrapeResult
from proto.subjects import Subject
from proto.train import TrainResult, run_id_of

R = TypeVar("R", bound=Body)


def new_request_id() -> UUID:
    """An operator's act is where a chain of derived ids begins, so this one may be random."""
    return uuid4()


async def facts(bus: Bus, family: str) -> FactReader:
    """What will be told about ``scrape``, ``train``, ``persona`` or ``generate`` from now on."""
    stream = "ANSWERS" if family == "generate" else "FACTS"
    return await FactReader.open(bus.jetstream, stream, f"{family}.*")


async def outcome(
    reader: FactReader,
    about: UUID,
    kind: type[R],
    *,
    timeout_s: float,
    show: Callable[[Body], None] = lambda _: None,
) -> R:
    """Wait for the result of one request or run. Raises Failure with its sentence where it is an error."""
    async for body in reader.follow(about, timeout_s=timeout_s):
        if isinstance(body, kind):
            error: ErrorInfo | None = getattr(body, "error", None)
            if error is not None:
                raise Failure(error.message, code=error.code, result=body.model_dump(mode="json"))
            return body
        show(body)
    raise AssertionError("following ends with an outcome or a Failure")


async def ask(
    settings: BusSettings,
    family: str,
    subject: Subject,
    request: PersonaRequest | AdapterRequest,
    kind: type[R],
    *,
    wait: bool,
    timeout_s: float,
) -> R | None:
    """Publish a command and follow it to its outcome; None where nobody waits for it. Raises Failure."""
    assert request.request_id is not None
    async with open_bus(settings) as bus:
        reader = await facts(bus, family)
        await bus.publish(subject, request, key=str(request.request_id))
        return await outcome(reader, request.request_id, kind, timeout_s=timeout_s) if wait else None


async def ask_persona(
    settings: BusSettings, request: PersonaRequest, *, wait: bool, timeout_s: float
) -> PersonaResult | None:
    """What the gateway decides about a persona. Raises Failure."""
    return await ask(
        settings,
        "persona",
        subjects.PERSONA_REQUEST,
        request,
        PersonaResult,
        wait=wait,
        timeout_s=timeout_s,
    )


async def scrape(
    terminal: Terminal, bus: Bus, request: ScrapeRequest, label: str, *, timeout_s: float
) -> ScrapeResult:
    """Ask for a scrape and follow it."""
    assert request.request_id is not None
    reader = await facts(bus, "scrape")
    await publish_scrape(bus, request)
    with bar(terminal.people, label) as line:
        return await outcome(reader, request.request_id, ScrapeResult, timeout_s=timeout_s, show=line.show)


def scrape_request(
    team_id: str, source: str, user_id: str | None = None, *, then_train: bool = False
) -> ScrapeRequest:
    """A new request for a scrape."""
    return ScrapeRequest(
        request_id=new_request_id(),
        team_id=team_id,
        source=source,
        user_id=user_id,
        then_train=then_train,
        requested_at=datetime.now(UTC),
    )


def tell_corpus(terminal: Terminal, result: ScrapeResult) -> None:
    """What a scrape brought."""
    terminal.say(
        f"Corpus {result.corpus_id}: {result.message_count:,} messages in {result.channel_count} channels."
    )
    if result.samples is not None:
        counts = result.samples
        terminal.say(
            f"Dataset {result.dataset_id}: {counts.train} to learn from, {counts.validation} + {counts.test} held out."
        )


async def publish_scrape(bus: Bus, request: ScrapeRequest) -> None:
    """Hand it to JetStream; back once it is stored."""
    await bus.publish(subjects.SCRAPE_REQUEST, request, key=str(request.request_id))


async def train(
    terminal: Terminal, bus: Bus, request: ScrapeRequest, label: str, *, timeout_s: float
) -> TrainResult:
    """Cut a fresh dataset, then follow the training that the gateway asks for."""
    assert request.request_id is not None
    assert request.user_id is not None
    training = await facts(bus, "train")
    await scrape(terminal, bus, request, f"dataset of {label}", timeout_s=timeout_s)
    run_id = run_id_of(request.request_id, request.user_id)
    with bar(terminal.people, f"training {label}") as line:
        return await outcome(training, run_id, TrainResult, timeout_s=timeout_s, show=line.show)
