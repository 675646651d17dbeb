"""The gateway's SQL, one function per query, split by table."""

from services.gateway.repository.outbox import Key, NewRow, Outbox, OutboxRow
from services.gateway.repository.personas import ActivePersona, Personas
from services.gateway.repository.trainings import Training, Trainings
from services.gateway.repository.workspaces import Installation, Workspaces

__all__ = [
    "ActivePersona",
    "Installation",
    "Key",
    "NewRow",
    "Outbox",
    "OutboxRow",
    "Personas",
    "Training",
    "Trainings",
    "Workspaces",
]
