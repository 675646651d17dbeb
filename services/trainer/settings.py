"""Every variable of the trainer, and the environment of its child."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from doppel.settings import SharedSettings, SourceSettings


class TrainerSettings(SharedSettings, SourceSettings):
    """What the trainer reads beside the shared settings."""

    cache_dir: Path = Field(
        default=Path(".doppel/cache/trainer"),
        description="Base model and running trainings on this machine's disk.",
    )
    trainer_device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: the GPU where there is one, else the processor."
    )
    trainer_threads: PositiveInt = Field(
        default=os.cpu_count() or 1,
        description="Processor threads a training computes with; default: all cores.",
    )
    trainer_min_samples: PositiveInt = Field(
        default=16, description="Training samples below which a persona is refused as too small."
    )
    run_lease_s: PositiveFloat = Field(
        default=45,
        description="A run whose worker is silent for so long may be taken over; less than the ack wait.",
    )
    queue_poll_s: PositiveFloat = Field(
        default=15, description="How often a run asks again while another of the same persona is under way."
    )
    adapters_kept: PositiveInt = Field(
        default=5,
        description="Newest versions of a persona that garbage collection keeps, beside the active one.",
    )
    graceful_timeout_s: PositiveFloat = Field(
        default=60, description="How long a running training may take to write its checkpoint after SIGTERM."
    )

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where trainings compute."""
        if self.trainer_device == "auto":
            return "cuda" if Path("/dev/nvidia0").exists() else "cpu"
        return self.trainer_device


KEEP_MEMORY = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {"hugetlb": 1, "mmap_threshold": 4 << 30, "trim_threshold": 64 << 30}.items()
)


def child_environment(threads: int) -> dict[str, str]:
    """What the recipe's process sees.

    Passive waiting: two spinning threads on a busy machine are slower than one. And glibc keeps what is freed, in huge
    pages: every step asks for the same gigabytes again, and their page faults cost a twentieth of its time.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOPPEL_")}  # noqa: TID251  built here only
    return inherited | {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GLIBC_TUNABLES": KEEP_MEMORY,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
