"""What the trainer's queries give back."""

from dataclasses import dataclass
from uuid import UUID

from proto.scrape import SampleCounts
from proto.train import TrainResult
from services.trainer.core.plan import Plan


@dataclass(frozen=True)
class DatasetRow:
    """One dataset of one persona."""

    dataset_id: UUID
    prefix: str
    manifest_sha256: str
    samples: SampleCounts
    source: str


@dataclass(frozen=True)
class KnownRun:
    """What is already decided of a run that is taken up again."""

    dataset_id: UUID
    plan: Plan | None
    result: TrainResult | None


@dataclass(frozen=True)
class Lease:
    """The run is ours under this fence; `lost`: how many holders ended without a word since it last got further."""

    fence: int
    lost: int


@dataclass(frozen=True)
class Busy:
    """The run, or another one of the same persona, is held; ask again after `retry_s`."""

    retry_s: float | None


@dataclass(frozen=True)
class CheckpointRow:
    """One resumable state in the bucket."""

    fence: int
    step: int
    prefix: str
    manifest_sha256: str


@dataclass(frozen=True)
class Lineage:
    """What an adapter was made of; with the plan and the seed it says how to make it again."""

    dataset_sha256: str
    base_model_sha256: str
    code_version: str


@dataclass(frozen=True)
class Version:
    """One published adapter as garbage collection sees it."""

    run_id: UUID
    prefix: str


@dataclass(frozen=True)
class Ended:
    """A run that is over, and what of its objects is still needed."""

    run_id: UUID
    kept: tuple[str, ...]
