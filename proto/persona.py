"""What an operator does to a persona: ``persona.request`` · ``persona.result``."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from proto.body import Body, ErrorInfo, TeamId, UserId


class PersonaRequest(Body):
    """Record a person's yes or no on an operator's word (``persona.request``)."""

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    user_id: UserId
    action: Literal["consent"] = "consent"
    granted: bool = Field(description="What the person said.")
    reason: str = Field(
        min_length=1, max_length=500, repr=False, description="How the operator knows; kept in the ledger."
    )
    name: str | None = Field(
        default=None, max_length=80, repr=False, description="What to call them, where no installation tells."
    )
    requested_at: AwareDatetime | None = None


class PersonaResult(Body):
    """What came of it (``persona.result``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId
    action: Literal["consent"] = "consent"
    granted: bool | None = None
    error: ErrorInfo | None = None
