"""S3 keys and manifests.

Every object another service trusts has its SHA-256 in a manifest and is written before the row that names it.
"""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt

from proto.body import Body, ObjectKey, Sha256, TeamId, Ts, UserId
from proto.conversation import Person
from proto.dataset import DatasetSettings, DatasetSummary
from proto.report import ReportRef
from proto.scrape import SampleCounts, Window

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")  # fit · early stop · voice report


def workspace_prefix(team_id: str) -> str:
    """Everything of one workspace."""
    return f"workspaces/{team_id}"


def persona_prefix(team_id: str, user_id: str) -> str:
    """Everything of one person, so that forgetting them is one prefix."""
    return f"{workspace_prefix(team_id)}/personas/{user_id}"


def export_key(team_id: str, sha256: str, suffix: str) -> str:
    """An uploaded history, named by its content. `suffix` is ``zip``, ``jsonl`` or ``csv``."""
    return f"{workspace_prefix(team_id)}/exports/{sha256}.{suffix}"


def corpus_prefix(team_id: str, corpus_id: UUID, fence: int) -> str:
    """One corpus; the fence keeps a slow worker off a later one's objects."""
    return f"{workspace_prefix(team_id)}/corpora/{corpus_id}/{fence}"


def dataset_prefix(team_id: str, user_id: str, dataset_id: UUID, fence: int) -> str:
    """Splits and manifest of one dataset."""
    return f"{persona_prefix(team_id, user_id)}/datasets/{dataset_id}/{fence}"


def run_prefix(team_id: str, user_id: str, run_id: UUID, fence: int) -> str:
    """Checkpoints and adapter that one holder of the lease writes."""
    return f"{persona_prefix(team_id, user_id)}/runs/{run_id}/{fence}"


def checkpoint_prefix(team_id: str, user_id: str, run_id: UUID, fence: int, step: int) -> str:
    """One resumable state."""
    return f"{run_prefix(team_id, user_id, run_id, fence)}/checkpoints/{step:08d}"


def curves_prefix(team_id: str, user_id: str, run_id: UUID, fence: int) -> str:
    """Beside the checkpoints: what TensorBoard shows of one run."""
    return f"{run_prefix(team_id, user_id, run_id, fence)}/tensorboard"


def adapter_prefix(team_id: str, user_id: str, run_id: UUID, fence: int) -> str:
    """The published weights; the adapter's version is its run_id."""
    return f"{run_prefix(team_id, user_id, run_id, fence)}/adapter"


def report_prefix(team_id: str, user_id: str, run_id: UUID, fence: int) -> str:
    """The voice report of one run; it stays where the run is rejected."""
    return f"{run_prefix(team_id, user_id, run_id, fence)}/report"


def model_prefix(name: str, content_sha256: str) -> str:
    """One prepared base model. `name` is already a safe path part (``basemodel`` makes it)."""
    return f"models/{name}/{content_sha256[:16]}"


def model_pointer_key(name: str) -> str:
    """The manifest of the prepared base model; written last."""
    return f"models/{name}/manifest.json"


def manifest_key(prefix: str) -> str:
    """The manifest lies beside what it lists."""
    return f"{prefix.rstrip('/')}/manifest.json"


class FileEntry(Body):
    """One object of an artifact: its name under the prefix, size and hash."""

    name: ObjectKey
    size_bytes: NonNegativeInt
    sha256: Sha256


class Manifest(Body):
    """What all manifests share."""

    schema_version: int = 1
    created_at: AwareDatetime
    files: tuple[FileEntry, ...]

    def file(self, name: str) -> FileEntry:
        """The entry of that name. Raises KeyError."""
        for entry in self.files:
            if entry.name == name:
                return entry
        raise KeyError(name)


class ShardEntry(FileEntry):
    """One Zstandard JSONL shard of `proto.conversation.Message`, sorted by thread and time."""

    channel_id: str
    message_count: NonNegativeInt
    oldest_ts: Ts | None = None
    latest_ts: Ts | None = None


class CorpusManifest(Manifest):
    """One corpus. Its user directory is ``people.json``: a JSON array of `proto.conversation.Person`."""

    corpus_id: UUID
    team_id: TeamId
    source: str
    shards: tuple[ShardEntry, ...]
    channels: dict[str, str] = Field(default={}, repr=False, description="channel_id → name at reading time.")
    message_count: NonNegativeInt
    person_count: NonNegativeInt
    content_sha256: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="Hash over the names and hashes of people and shards: equal means nothing changed.",
    )
    window: Window = Field(default=Window(), description="Which part of the history was asked for.")
    dropped: dict[str, int] = Field(default={}, description="Reason → messages of the history left out.")


PEOPLE_FILE = "people.json"


class DatasetManifest(Manifest):
    """One persona's samples: a ``<split>.jsonl.zst`` of `proto.conversation.Sample` for each split.

    Beside them lies the dataset card: ``card.json`` (`proto.dataset.DatasetCard`) and ``card.html``, a page with plots.
    """

    dataset_id: UUID
    team_id: TeamId
    user_id: UserId
    corpus_id: UUID
    source: str
    person: Person
    samples: SampleCounts
    dropped: dict[str, int] = Field(default={}, description="Reason → messages left out.")
    content_sha256: Sha256 | None = Field(
        default=None,
        description="Of the splits and settings, without ids and dates: the same corpus and settings give the same.",
    )
    settings: DatasetSettings | None = None
    summary: DatasetSummary = DatasetSummary()
    opted_out_count: NonNegativeInt = Field(
        default=0, description="People whose words were kept out, also as context."
    )
    seed: int = 0


def split_file(split: Split) -> str:
    """The file of one split."""
    return f"{split}.jsonl.zst"


class CheckpointManifest(Manifest):
    """One resumable state: adapter, optimizer, schedule, data position, RNG; safetensors and JSON only."""

    run_id: UUID
    fence: PositiveInt
    step: NonNegativeInt


ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors"
ADAPTER_CONFIG_FILE = "adapter_config.json"


class AdapterManifest(Manifest):
    """One published adapter (PEFT files) and what it was trained with."""

    run_id: UUID
    team_id: TeamId
    user_id: UserId
    dataset_id: UUID
    base_model: str
    base_model_sha256: Sha256
    lora_rank: PositiveInt
    system: str = Field(repr=False, description="The system turn it was trained with; inference prepends it.")
    base_test_loss: float
    test_loss: float
    step_count: NonNegativeInt
    dataset_sha256: Sha256 | None = Field(default=None, description="Of the dataset's manifest.")
    config: dict[str, Any] = Field(default={}, description="The plan: every knob as it was used.")
    code_version: str = Field(default="", description="Release and a hash over the recipe's source.")
    report: ReportRef | None = None


REPORT_FILE = "report.json"
REPORT_PAGE_FILE = "report.html"
REPORT_PLOT_FILE = "loss.png"


class ReportManifest(Manifest):
    """One voice report: `proto.report.VoiceReport` as ``report.json``, a page and the plot of the losses."""

    run_id: UUID


class BaseModelManifest(Manifest):
    """One prepared base model: a Hugging Face folder's files under `prefix`."""

    name: str
    prefix: ObjectKey
    content_sha256: Sha256 = Field(description="Hash over the names and hashes of its files.")
