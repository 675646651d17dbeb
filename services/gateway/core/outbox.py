"""One row of the outbox, as the rest of the gateway sees it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Kind = Literal["reply", "notice", "progress", "question", "report"]


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
    response_url: str | None = field(default=None, repr=False)  # sealed: then only `asked_by` sees it
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
    response_url: str | None = field(repr=False)
    body: dict[str, Any] | None = field(repr=False)
    question: dict[str, Any] | None = field(repr=False)

    @property
    def is_ephemeral(self) -> bool:
        """Seen by one person, and it leaves no trace to look for."""
        return self.response_url is not None

    @property
    def picture(self) -> dict[str, Any] | None:
        """A file to be uploaded and shared in place of a text."""
        return (self.body or {}).get("picture")

    @property
    def file_id(self) -> str | None:
        """Slack's id of the picture, once there is one; afterwards it stands where others have their ts."""
        if self.picture is not None:
            return self.picture.get("file_id")
        return self.message_ts if (self.message_ts or "").startswith("F") else None
