"""What one machine may be told, and the one place where a child's environment begins."""

import os
from pathlib import Path

from pydantic import ByteSize, Field, PositiveFloat

from doppel.settings import DoppelSettings

GIB = 1024**3


class LocalSettings(DoppelSettings):
    """Settings of `doppel up`, `doppel down` and of everything that looks for the local stack."""

    home: Path = Field(default=Path(".doppel"), description="State, logs and addresses of the local stack.")
    need_memory_bytes: ByteSize = Field(
        default=ByteSize(10 * GIB), description="Free memory that `doppel up` asks for."
    )
    need_disk_bytes: ByteSize = Field(
        default=ByteSize(8 * GIB), description="Free disk that `doppel up` asks for."
    )
    ready_timeout_s: PositiveFloat = Field(
        default=600,
        description="How long `doppel up` waits for a service to be ready; an engine may take minutes.",
    )


def inherited() -> dict[str, str]:
    """The environment that a child starts from: ours."""
    return dict(os.environ)  # noqa: TID251  a child's environment is built from ours, here and nowhere else
