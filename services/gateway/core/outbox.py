"""One row of the outbox, as the rest of the gateway sees it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Kind = Literal["reply", "notice", "progress", "question"]


@dataclass(frozen=True)
class Key:
    """What makes a visible effect one."""

    api_app_id: str
    channel: str
    trigger: str
    part: int = 0


@dataclass(frozen=True)
class NewRow:
    """A visible effect to come."""

    key: Key
    team_id: str
    kind: Kind
    request_id: UUID
    user_id: str | None = None
    asked_by: str | None = None
    thread_ts: str | None = None
    trigger_ts: str | None = None
    deadline_s: float | None = None
    note: str | None = None
    body: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class OutboxRow:
    """A visible effect as it stands."""

    key: Key
    team_id: str
    kind: Kind
    request_id: UUID
    user_id: str | None
    asked_by: str | None
    thread_ts: str | None
    trigger_ts: str | None
    note: str | None
    state: Literal["pending", "sending", "sent", "failed"]
    attempt: int
    fence: int
    message_ts: str | None
    created_at: datetime
    deadline_at: datetime | None
    age_s: float  # since the last send began
    body: dict[str, Any] | None = field(repr=False)
    question: dict[str, Any] | None = field(repr=False)
