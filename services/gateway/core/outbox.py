"""One row of the outbox, as the rest of the gateway sees it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

EPHEMERAL: Final = "ephemeral"  # in place of a ts: said to one person alone
TAKEN_AWAY: Final = "gone"  # in place of a ts: a message that an answer made anew has no use for
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
    replaces: UUID | None = (
        None  # the answer in whose messages it is to stand; the response_url hears why not
    )
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
    replaces: UUID | None
    run_id: UUID | None
    stream: Literal["starting", "live"] | None  # its message stands there before the answer is known
    stream_ts: str | None
    stream_name: str | None
    stream_at: datetime | None
    response_url: str | None = field(repr=False)
    body: dict[str, Any] | None = field(repr=False)
    question: dict[str, Any] | None = field(repr=False)

    @property
    def is_ephemeral(self) -> bool:
        """Seen by one person, and it leaves no trace to look for."""
        return self.response_url is not None and self.replaces is None

    @property
    def is_on_show(self) -> bool:
        """It stands in a channel, for all that we know."""
        return self.state == "sent" and (self.message_ts or EPHEMERAL) not in (EPHEMERAL, TAKEN_AWAY)

    @property
    def rewrites(self) -> str | None:
        """The ts of the message in which this is to stand: the same twice is the same, so it may be done again."""
        return (self.body or {}).get("rewrites")

    @property
    def may_be_redone(self) -> bool:
        """Without a look: a message is rewritten, or finished, twice with the same end; or it leaves no trace."""
        return self.rewrites is not None or self.stream is not None or self.is_ephemeral

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
