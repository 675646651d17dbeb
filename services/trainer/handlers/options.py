"""What the handlers were put together with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

from doppel.basemodel.fetch import BaseModelFolder
from doppel.bus import Publisher
from proto.artifacts import DatasetManifest
from services.trainer.adapters.gauges import Gauges
from services.trainer.adapters.run_store import RunStore
from services.trainer.core.plan import Device, Plan
from services.trainer.core.run import Run
from services.trainer.core.shape import ModelShape
from services.trainer.handlers.news import Queue
from services.trainer.repository import Lease, Runs

AWAY_S: Final = (
    600.0  # bucket or database; after that the run goes back and is resumed from its last checkpoint
)


class BaseModels(Protocol):
    """Where the base model comes from."""

    async def fetch(self, base_model: str) -> BaseModelFolder:
        """A whole, verified folder."""
        ...


@dataclass(frozen=True)
class Options:
    """What of the settings the story needs."""

    base_model: str
    system_template: str
    device: Device
    threads: int
    min_samples: int
    max_lora_rank: int
    lease_ttl_s: float
    queue_poll_s: float
    api_allowed: bool  # the operator's word that what Slack's API gave may be trained on
    environment: Mapping[str, str] = field(repr=False)  # of the child
    adapters_kept: int = 5
    code_version: str = ""


@dataclass(frozen=True)
class Tools:
    """Everything outside that a training touches."""

    bus: Publisher
    runs: Runs
    store: RunStore
    base_models: BaseModels
    gauges: Gauges
    options: Options
    queue: Queue
    stopping: Callable[[], Awaitable[None]]  # returns once SIGTERM came


@dataclass(frozen=True)
class Decided:
    """What holds for every attempt at a run: the first one decided it."""

    plan: Plan
    dataset_id: UUID
    dataset_prefix: str
    dataset_sha256: str
    base: BaseModelFolder
    shape: ModelShape


@dataclass(frozen=True)
class Attempt:
    """One holder's try at one run."""

    run: Run
    lease: Lease
    decided: Decided
    dataset: DatasetManifest
    system: str = field(repr=False)
    work: Path
