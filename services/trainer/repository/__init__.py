"""The trainer's SQL. Each write is one statement, decided by a unique key or by ``where fence =``."""

from dataclasses import dataclass

from services.trainer.repository.cancels import Cancels
from services.trainer.repository.checkpoints import Checkpoints
from services.trainer.repository.ends import Ends
from services.trainer.repository.forgotten import Forgotten
from services.trainer.repository.leases import Leases
from services.trainer.repository.reading import Reading
from services.trainer.repository.registry import Registry
from services.trainer.repository.rows import (
    Busy,
    CheckpointRow,
    DatasetRow,
    Ended,
    KnownRun,
    Lease,
    Lineage,
    Version,
)


@dataclass(frozen=True)
class Runs(Leases, Checkpoints, Ends, Cancels, Reading, Registry, Forgotten):
    """Runs, their leases, checkpoints, ends and cancels; consents and datasets of others, read only."""


__all__ = ["Busy", "CheckpointRow", "DatasetRow", "Ended", "KnownRun", "Lease", "Lineage", "Runs", "Version"]
