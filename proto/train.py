"""Training one persona: ``train.request`` · ``train.progress`` · ``train.result``."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from proto.body import Body, ErrorInfo, ObjectKey, Sha256, TeamId, UserId, derived_id
from proto.report import ReportRef


def run_id_of(request_id: UUID, user_id: str) -> UUID:
    """The run of one request for one person; a redelivery names the same run."""
    return derived_id("run", str(request_id), user_id)


class RecipeOverrides(Body):
    """Knobs of the recipe; what is absent is chosen from the dataset's and the model's size.

    A knob that nobody knows is kept, so that the trainer can refuse it by its name.
    """

    model_config = ConfigDict(extra="allow")

    lora_rank: Literal[1, 8, 16, 32, 64, 128] | None = None
    lora_alpha: float | None = Field(default=None, gt=0, le=1024)
    learning_rate: float | None = Field(default=None, gt=0, le=0.1)
    epochs: PositiveInt | None = Field(default=None, le=100)
    max_steps: PositiveInt | None = Field(default=None, le=100_000)
    batch_size: PositiveInt | None = Field(default=None, le=4096, description="Samples per optimizer step.")
    max_seq_len: PositiveInt | None = Field(default=None, ge=64, le=32_768)
    warmup_ratio: float | None = Field(default=None, ge=0, le=0.5)
    weight_decay: float | None = Field(default=None, ge=0, le=1)
    gradient_norm: float | None = Field(
        default=None, gt=0, le=100, description="Longer gradients are clipped."
    )
    validation_steps: PositiveInt | None = Field(
        default=None, le=10_000, description="Steps between two looks at the held-out loss; each checkpoints."
    )
    patience: PositiveInt | None = Field(
        default=None, le=100, description="Looks without improvement before stopping early."
    )
    validation_samples: PositiveInt | None = Field(
        default=None, le=10_000, description="Held-out samples of one look at most."
    )
    test_samples: PositiveInt | None = Field(
        default=None, le=10_000, description="Held-out samples of the voice report at most."
    )
    micro_batch_tokens: PositiveInt | None = Field(
        default=None,
        ge=64,
        le=1_000_000,
        description="Tokens of one forward pass; it shrinks if memory ends.",
    )
    precision: Literal["auto", "fp32", "bf16"] | None = None
    compile: Literal["auto", "on", "off"] | None = Field(default=None, description="torch.compile.")
    recompute: Literal["auto", "on", "off"] | None = Field(
        default=None, description="Activation checkpointing: less memory, a third more work."
    )
    seed: NonNegativeInt | None = Field(default=None, le=2**63 - 1)


class UnusableOverrides(RecipeOverrides):
    """A knob with a value that it can't have: what is wrong, in words, for the trainer to refuse."""

    problem: str = ""


class TrainRequest(Body):
    """Train a persona (``train.request``)."""

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    user_id: UserId
    dataset_id: UUID | None = Field(default=None, description="Absent: the persona's newest dataset.")
    overrides: RecipeOverrides = RecipeOverrides()
    requested_at: AwareDatetime | None = Field(
        default=None, description="Orders runs; absent: when JetStream stored the message."
    )

    @field_validator("overrides", mode="wrap")
    @classmethod
    def _keep_what_is_wrong(cls, value: object, read: ValidatorFunctionWrapHandler) -> RecipeOverrides:
        """A wrong wish is an expected mistake and gets its answer; it is no poison."""
        try:
            return read(value)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
            what = ".".join(map(str, wrong["loc"])) or "overrides"
            return UnusableOverrides(problem=wrong["msg"].replace("Input", what, 1))


class RunState(StrEnum):
    """Where a run stands; all but `running` are final."""

    RUNNING = "running"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AdapterRef(Body):
    """Which adapter version, where it lies, and the hash that makes it trustworthy."""

    run_id: UUID
    prefix: ObjectKey
    manifest_sha256: Sha256


class TrainProgress(Body):
    """How far a run is (``train.progress``)."""

    request_id: UUID
    run_id: UUID
    team_id: TeamId
    user_id: UserId
    stage: Literal["queued", "preparing", "training", "evaluating", "publishing"]
    step: NonNegativeInt = 0
    total: NonNegativeInt = 0
    train_loss: float | None = Field(default=None, description="Nats per persona token.")
    validation_loss: float | None = Field(default=None, description="Nats per persona token, held out.")
    learning_rate: float | None = None
    tokens_per_s: float | None = None
    memory_bytes: NonNegativeInt | None = Field(default=None, description="Peak memory of the training.")
    eta_s: float | None = None
    queue_position: PositiveInt | None = Field(
        default=None, description="While queued: 1 is the next to be trained."
    )


class TrainResult(Body):
    """How a run ended (``train.result``)."""

    request_id: UUID
    run_id: UUID
    team_id: TeamId
    user_id: UserId
    state: RunState
    requested_at: AwareDatetime | None = None
    adapter: AdapterRef | None = Field(default=None, description="Present when published.")
    base_model: str | None = None
    sample_count: NonNegativeInt | None = None
    step_count: NonNegativeInt | None = None
    base_test_loss: float | None = Field(default=None, description="Held-out loss of the plain base model.")
    test_loss: float | None = Field(default=None, description="Held-out loss with the adapter.")
    train_s: float | None = None
    report: ReportRef | None = Field(default=None, description="Present when published or rejected.")
    error: ErrorInfo | None = None
