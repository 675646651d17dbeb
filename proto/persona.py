"""A persona: ``persona.request`` · ``.result``; forgotten: ``.purge`` · ``.purged`` · ``.look`` · ``.held``."""

from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt, model_validator

from proto.body import Body, ErrorInfo, TeamId, UserId, derived_id

PersonaAction = Literal["consent", "activate", "rollback", "forget"]


class PersonaRequest(Body):
    """An operator's action on a persona (``persona.request``).

    ``consent`` records a person's yes or no, ``activate`` lets a published version answer from now on, ``rollback``
    the one before the active one, ``forget`` takes away everything that was made from a person, and records their no.
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
        description="consent, forget: how the operator knows; kept in the ledger. Required for consent.",
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


def purge_id_of(source_key: str) -> UUID:
    """The purge that a word in the ledger begins: ``operator/<request_id>`` of a ``persona.request``."""
    return derived_id("purge", source_key)


class PersonaPurge(Body):
    """Forget this person (``persona.purge``): whoever holds something made from them deletes it, and tells.

    It comes in several rounds, since what is under way may still leave something behind; doing it again does nothing
    more. Where the person has said yes since, only what is older than `requested_at` goes.
    """

    request_id: UUID = Field(description="Of the purge.")
    round: PositiveInt = 1
    team_id: TeamId
    user_id: UserId
    requested_at: AwareDatetime


class PersonaPurged(Body):
    """What one service has deleted in one round (``persona.purged``)."""

    request_id: UUID
    round: PositiveInt = 1
    team_id: TeamId
    user_id: UserId
    service: Literal["scraper", "trainer", "inference"]
    replica: str = Field(default="", max_length=200)
    removed: dict[str, NonNegativeInt] = Field(default={}, description="Kind → how many.")
    left: NonNegativeInt = Field(
        default=0, description="Still in use by somebody; the next round takes them."
    )


class PersonaLook(Body):
    """Say what you hold of this person (core NATS ``persona.look``): every replica answers."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId


class PersonaHeld(Body):
    """What one replica holds of them on its disk and in its engine (core NATS ``persona.held.<request_id>``)."""

    request_id: UUID
    service: Literal["trainer", "inference"]
    replica: str = Field(default="", max_length=200)
    held: dict[str, NonNegativeInt] = Field(default={}, description="Place → how many things of theirs.")
