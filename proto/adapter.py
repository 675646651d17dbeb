"""What an operator does to stored adapters: ``adapter.request`` · ``adapter.result``."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt

from proto.body import Body, ErrorInfo, TeamId, UserId


class AdapterRequest(Body):
    """Collect versions that nobody needs any more (``adapter.request``).

    Of each persona the newest `keep` stay, and with them the active one, whatever is newer than it, and all that a
    run under way may need.
    """

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    user_id: UserId | None = Field(default=None, description="Absent: everybody of the workspace.")
    action: Literal["gc"] = "gc"
    keep: PositiveInt | None = Field(
        default=None, le=1000, description="Absent: what the deployment is set to."
    )
    dry_run: bool = Field(default=False, description="Only say what would go.")
    requested_at: AwareDatetime | None = None


class AdapterResult(Body):
    """What came of it (``adapter.result``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId | None = None
    action: Literal["gc"] = "gc"
    dry_run: bool = False
    run_ids: tuple[UUID, ...] = Field(default=(), description="Versions that went.")
    object_count: NonNegativeInt = Field(
        default=0, description="Objects deleted, leftovers of ended runs among them."
    )
    error: ErrorInfo | None = None
