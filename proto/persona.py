"""What an operator does to a persona: ``persona.request`` · ``persona.result``."""

from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from proto.body import Body, ErrorInfo, TeamId, UserId

PersonaAction = Literal["consent", "activate", "rollback"]


class PersonaRequest(Body):
    """An operator's action on a persona (``persona.request``).

    ``consent`` records a person's yes or no, ``activate`` lets a published version answer from now on, ``rollback``
    the one before the active one.
    """

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    user_id: UserId
    action: PersonaAction = "consent"
    granted: bool | None = Field(default=None, description="consent: what the person said.")
    reason: str = Field(
        default="",
        max_length=500,
        repr=False,
        description="consent: how the operator knows; kept in the ledger. Required there.",
    )
    name: str | None = Field(
        default=None, max_length=80, repr=False, description="What to call them, where no installation tells."
    )
    run_id: UUID | None = Field(default=None, description="activate: the version.")
    requested_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.action == "consent" and (self.granted is None or not self.reason):
            raise ValueError("consent needs granted and reason")
        if self.action == "activate" and self.run_id is None:
            raise ValueError("activate needs run_id")
        return self


class PersonaResult(Body):
    """What came of it (``persona.result``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId
    action: PersonaAction = "consent"
    granted: bool | None = None
    run_id: UUID | None = Field(default=None, description="activate, rollback: what answers from now on.")
    error: ErrorInfo | None = None
