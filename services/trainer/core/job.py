"""What parent and child say to each other: a job in a file, JSON lines back, beats on stdin."""

import errno
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter

from proto.body import Body
from services.trainer.core.plan import Device, Plan
from services.trainer.core.shape import ModelShape

CURVES_FOLDER = "tensorboard"  # in the work folder; uploaded beside the checkpoints
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a quota, a limit of this process
DISK_FULL = "The trainer's disk is full. Free some space there and train again."
MAX_LINE_BYTES = 4096  # one write of at most PIPE_BUF bytes never mixes with another

FailureCode = Literal[
    "diverged",
    "no_words",
    "out_of_memory",
    "base_mismatch",
    "checkpoint_corrupt",
    "dataset_corrupt",
    "disk_full",
    "internal",
]


class Job(Body):
    """All that the child needs; every path is local and absolute."""

    run_id: UUID
    base_model: str
    base_folder: str
    base_sha256: str = Field(default="", description="A checkpoint of another base is none of this run's.")
    dataset_folder: str
    work_folder: str = Field(description="Checkpoints go to checkpoints/<step>, the result to adapter/.")
    resume_folder: str | None = None
    system: str = Field(repr=False, description="The system turn of every sample.")
    shape: ModelShape
    plan: Plan
    device: Device = "cpu"
    threads: PositiveInt = 1
    silence_s: PositiveFloat = Field(
        default=30, description="Without a beat for this long the child pauses before its next step."
    )


class Progressed(Body):
    """How far the child is."""

    event: Literal["progress"] = "progress"
    stage: Literal["preparing", "training", "evaluating"]
    step: NonNegativeInt = 0
    total: NonNegativeInt = 0
    train_loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_s: float | None = None
    memory_bytes: NonNegativeInt | None = None
    eta_s: float | None = None


class CheckpointWritten(Body):
    """A resumable state lies complete in `folder`; the parent uploads and removes it."""

    event: Literal["checkpoint"] = "checkpoint"
    step: NonNegativeInt
    folder: str


class Used(Body):
    """What the recipe chose where the plan left it open, and what trouble on the way has changed."""

    precision: str
    compile: Literal["on", "off"] = "off"
    recompute: Literal["on", "off"] = "off"
    micro_batch_tokens: PositiveInt
    learning_rate_scale: PositiveFloat = 1.0  # below 1 after a divergence
    device: Device = "cpu"
    threads: PositiveInt = 1


class Finished(Body):
    """The adapter lies complete in `folder`, ``measures.json`` and ``loss.png`` in `report_folder`."""

    event: Literal["finished"] = "finished"
    folder: str
    report_folder: str
    step_count: NonNegativeInt
    best_step: NonNegativeInt
    sample_count: NonNegativeInt
    base_test_loss: float
    test_loss: float
    validation_loss: float
    used: Used
    train_s: NonNegativeFloat


class Stopped(Body):
    """The child was asked to stop and has written its last checkpoint."""

    event: Literal["stopped"] = "stopped"


class Failed(Body):
    """The child gave up; `reason` is one plain sentence, `stack` names places in code, never data."""

    event: Literal["failed"] = "failed"
    code: FailureCode
    reason: str
    stack: str = ""


Event = Annotated[Progressed | CheckpointWritten | Finished | Stopped | Failed, Field(discriminator="event")]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: bytes) -> Event:
    """One line of the child's. Raises ValidationError."""
    return _EVENT.validate_json(line)


def render_event(event: Event) -> bytes:
    """One line for the parent. What would be too long is cut in its free text."""
    line = event.model_dump_json().encode() + b"\n"
    if len(line) > MAX_LINE_BYTES and isinstance(event, Failed):
        line = (
            event.model_copy(update={"stack": "", "reason": event.reason[:500]}).model_dump_json().encode()
            + b"\n"
        )
    return line
