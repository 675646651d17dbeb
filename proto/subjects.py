"""Streams, subjects and consumers, as data, for provisioner, services, CLI and docs alike."""

from dataclasses import dataclass
from typing import Final

from proto.adapter import AdapterRequest, AdapterResult
from proto.body import Body
from proto.generate import Cancel, GenerateProgress, GenerateRequest, GenerateResult, TokenDelta
from proto.persona import (
    PersonaHeld,
    PersonaLook,
    PersonaPurge,
    PersonaPurged,
    PersonaRequest,
    PersonaResult,
)
from proto.scrape import ScrapeProgress, ScrapeRequest, ScrapeResult
from proto.slack import SlackEvent
from proto.train import TrainProgress, TrainRequest, TrainResult

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
DUPLICATE_WINDOW_S: Final = 600
MAX_MESSAGE_BYTES: Final = 512 * 1024
MAX_WAITING: Final = 4096  # pull requests a durable holds: loops × replicas pass the server's 512


@dataclass(frozen=True)
class Subject:
    """One subject: what travels on it, from whom to whom."""

    name: str
    body: type[Body]
    sender: str
    reader: str
    summary: str
    stream: str | None = None  # None: core NATS, lossy by design
    heard_live_by: tuple[str, ...] = ()  # services that also listen as it passes: a hint, never the record

    @property
    def senders(self) -> frozenset[str]:
        """The services among its senders, `ops`, or `anyone`."""
        return _parties(self.sender)

    @property
    def readers(self) -> frozenset[str]:
        """The services among its readers, `CLI`, or `anyone`."""
        return _parties(self.reader)


def _parties(text: str) -> frozenset[str]:
    return frozenset(part.strip().removesuffix(" worker") for part in text.split(","))


@dataclass(frozen=True)
class Stream:
    """One JetStream stream. `work_queue`: a message leaves when acked, and a full stream refuses new ones."""

    name: str
    subjects: tuple[str, ...]
    work_queue: bool
    max_age_s: int
    max_bytes: int
    max_messages: int = -1


@dataclass(frozen=True)
class Consumer:
    """One durable, named after its service. `loops`: one-at-a-time pull loops per replica."""

    stream: str
    durable: str
    service: str
    subjects: tuple[str, ...]
    ack_wait_s: float = 30
    max_ack_pending: int = 256
    max_deliver: int = 2000
    loops: int = 4
    deliver_new: bool = False
    keep_trying_s: float = DAY_S  # a transient error returns the message until it is this old


SLACK_EVENT: Final = Subject(
    "slack.event", SlackEvent, "gateway", "gateway worker", "What Slack delivered, verified.", "SLACK_EVENT"
)
SCRAPE_REQUEST: Final = Subject(
    "scrape.request",
    ScrapeRequest,
    "gateway, ops",
    "scraper",
    "Read a history; cut a dataset.",
    "SCRAPE_REQUEST",
)
TRAIN_REQUEST: Final = Subject(
    "train.request", TrainRequest, "gateway, ops", "trainer", "Train a persona.", "TRAIN_REQUEST"
)
GENERATE_REQUEST: Final = Subject(
    "generate.request",
    GenerateRequest,
    "gateway, ops",
    "inference",
    "Ask for one completion.",
    "GENERATE_REQUEST",
)
PERSONA_REQUEST: Final = Subject(
    "persona.request",
    PersonaRequest,
    "ops",
    "gateway worker",
    "An operator's action: record a consent, activate a version, roll back, forget somebody.",
    "PERSONA_REQUEST",
)
ADAPTER_REQUEST: Final = Subject(
    "adapter.request",
    AdapterRequest,
    "ops",
    "trainer",
    "Collect adapters that nobody needs any more.",
    "ADAPTER_REQUEST",
)
SCRAPE_PROGRESS: Final = Subject(
    "scrape.progress", ScrapeProgress, "scraper", "anyone", "How far a scrape is.", "FACTS"
)
SCRAPE_RESULT: Final = Subject(
    "scrape.result", ScrapeResult, "scraper", "anyone", "How a scrape ended.", "FACTS"
)
TRAIN_PROGRESS: Final = Subject(
    "train.progress", TrainProgress, "trainer", "anyone", "How far a run is.", "FACTS"
)
TRAIN_RESULT: Final = Subject(
    "train.result",
    TrainResult,
    "trainer, gateway",
    "anyone",
    "How a run ended, also one that never began.",
    "FACTS",
    heard_live_by=("inference",),
)
PERSONA_RESULT: Final = Subject(
    "persona.result", PersonaResult, "gateway worker", "anyone", "What came of an operator's action.", "FACTS"
)
PERSONA_PURGE: Final = Subject(
    "persona.purge",
    PersonaPurge,
    "gateway worker",
    "scraper, trainer, inference",
    "Delete what was made from a person.",
    "FACTS",
    heard_live_by=("inference",),
)
PERSONA_PURGED: Final = Subject(
    "persona.purged",
    PersonaPurged,
    "scraper, trainer, inference",
    "gateway worker",
    "What was deleted.",
    "FACTS",
)
ADAPTER_RESULT: Final = Subject(
    "adapter.result", AdapterResult, "trainer", "anyone", "What was collected.", "FACTS"
)
GENERATE_PROGRESS: Final = Subject(
    "generate.progress", GenerateProgress, "inference", "anyone", "What a request waits for.", "ANSWERS"
)
GENERATE_RESULT: Final = Subject(
    "generate.result",
    GenerateResult,
    "inference, gateway",
    "gateway, CLI",
    "The whole text, or why there is none.",
    "ANSWERS",
)
GENERATE_TOKEN: Final = Subject(
    "generate.token.*", TokenDelta, "inference", "gateway, CLI", "Pieces of a completion under way."
)
SCRAPE_CANCEL: Final = Subject(
    "scrape.cancel.*", Cancel, "anyone", "scraper", "Stop a scrape, by its request_id."
)
TRAIN_CANCEL: Final = Subject("train.cancel.*", Cancel, "anyone", "trainer", "Stop a run, by its run_id.")
GENERATE_CANCEL: Final = Subject(
    "generate.cancel.*", Cancel, "anyone", "inference", "Stop a completion, by its request_id."
)
PERSONA_LOOK: Final = Subject(
    "persona.look", PersonaLook, "ops", "trainer, inference", "What does each replica hold of a person?"
)
PERSONA_HELD: Final = Subject(
    "persona.held.*",
    PersonaHeld,
    "trainer, inference",
    "ops",
    "What one replica holds, by the look's request_id.",
)

SUBJECTS: Final = (
    SLACK_EVENT,
    SCRAPE_REQUEST,
    TRAIN_REQUEST,
    GENERATE_REQUEST,
    PERSONA_REQUEST,
    ADAPTER_REQUEST,
    SCRAPE_PROGRESS,
    SCRAPE_RESULT,
    TRAIN_PROGRESS,
    TRAIN_RESULT,
    PERSONA_RESULT,
    PERSONA_PURGE,
    PERSONA_PURGED,
    ADAPTER_RESULT,
    GENERATE_PROGRESS,
    GENERATE_RESULT,
    GENERATE_TOKEN,
    SCRAPE_CANCEL,
    TRAIN_CANCEL,
    GENERATE_CANCEL,
    PERSONA_LOOK,
    PERSONA_HELD,
)

RESULT_OF: Final[dict[str, Subject]] = {
    SCRAPE_REQUEST.name: SCRAPE_RESULT,
    TRAIN_REQUEST.name: TRAIN_RESULT,
    GENERATE_REQUEST.name: GENERATE_RESULT,
    PERSONA_REQUEST.name: PERSONA_RESULT,
    ADAPTER_REQUEST.name: ADAPTER_RESULT,
}
"""Which outcome answers which command; what Slack delivers has none."""

DEAD_PREFIX: Final = "dead."
PURGED: Final = ("FACTS", "ANSWERS", "DEAD", "GENERATE_REQUEST")
"""Streams in which the gateway looks for what is about a person, and deletes it."""

STREAMS: Final = (
    Stream("SLACK_EVENT", ("slack.event",), True, DAY_S, 512 * MIB, 100_000),
    Stream("SCRAPE_REQUEST", ("scrape.request",), True, 7 * DAY_S, 512 * MIB, 100_000),
    Stream("TRAIN_REQUEST", ("train.request",), True, 30 * DAY_S, 512 * MIB, 100_000),
    Stream("GENERATE_REQUEST", ("generate.request", "generate.request.*"), True, DAY_S, 512 * MIB, 100_000),
    Stream("PERSONA_REQUEST", ("persona.request",), True, 7 * DAY_S, 512 * MIB, 100_000),
    Stream("ADAPTER_REQUEST", ("adapter.request",), True, 7 * DAY_S, 64 * MIB, 10_000),
    Stream(
        "FACTS",
        (
            "scrape.progress",
            "scrape.result",
            "train.progress",
            "train.result",
            "persona.result",
            "adapter.result",
            "persona.purge",
            "persona.purged",
        ),
        False,
        7 * DAY_S,
        GIB,
    ),
    Stream("ANSWERS", ("generate.progress", "generate.result"), False, DAY_S, GIB),
    Stream("DEAD", ("dead.>",), False, 14 * DAY_S, 512 * MIB),
    Stream("ADVISORY", ("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",), False, 7 * DAY_S, 64 * MIB),
)

CONSUMERS: Final = (
    Consumer("SLACK_EVENT", "gateway", "gateway", ("slack.event",), loops=8),
    Consumer("PERSONA_REQUEST", "gateway", "gateway", ("persona.request",), max_ack_pending=16, loops=1),
    Consumer(
        "FACTS",
        "gateway",
        "gateway",
        ("scrape.result", "train.result", "persona.result", "persona.purged"),
        loops=2,
    ),
    Consumer(
        "FACTS",
        "gateway_progress",
        "gateway",
        ("scrape.progress", "train.progress"),
        max_deliver=1,
        loops=1,
        deliver_new=True,
    ),
    Consumer(
        "FACTS", "scraper_purge", "scraper", ("persona.purge",), 60, 16, loops=1, keep_trying_s=7 * DAY_S
    ),
    Consumer(
        "FACTS", "trainer_purge", "trainer", ("persona.purge",), 60, 16, loops=1, keep_trying_s=7 * DAY_S
    ),
    Consumer("ANSWERS", "gateway", "gateway", ("generate.result",), loops=4),
    Consumer(
        "SCRAPE_REQUEST", "scraper", "scraper", ("scrape.request",), 60, 16, loops=2, keep_trying_s=7 * DAY_S
    ),
    Consumer(
        "TRAIN_REQUEST", "trainer", "trainer", ("train.request",), 60, 16, loops=1, keep_trying_s=7 * DAY_S
    ),
    Consumer("ADAPTER_REQUEST", "trainer", "trainer", ("adapter.request",), 60, 16, loops=1),
    Consumer(
        "GENERATE_REQUEST",
        "inference",
        "inference",
        ("generate.request", "generate.request.*"),
        30,
        1000,
        max_deliver=8,
        loops=8,
    ),
)


def stream(name: str) -> Stream:
    """The stream of that name. Raises KeyError."""
    return {candidate.name: candidate for candidate in STREAMS}[name]


def consumer(stream_name: str, durable: str) -> Consumer:
    """The durable of that name on that stream. Raises KeyError."""
    for candidate in CONSUMERS:
        if (candidate.stream, candidate.durable) == (stream_name, durable):
            return candidate
    raise KeyError(f"{stream_name}/{durable}")


def subject_of(name: str) -> Subject | None:
    """Which entry a concrete subject belongs to: ``generate.request.17`` is a ``generate.request``."""
    for candidate in SUBJECTS:
        base = candidate.name.removesuffix(".*")
        if name == candidate.name or (
            name.startswith(base + ".") and (candidate.name.endswith(".*") or base == "generate.request")
        ):
            return candidate
    return None


def command_of(name: str) -> str | None:
    """The command subject that a concrete one belongs to, or None where it is no command."""
    found = subject_of(name)
    return found.name if found and found.stream and stream(found.stream).work_queue else None
