"""Asking for a completion: ``generate.request`` · ``.progress`` · ``.result`` · ``.token.<request_id>``."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt

from proto.body import Body, ErrorInfo, TeamId, UserId
from proto.conversation import Turn
from proto.train import AdapterRef


class Sampling(Body):
    """How to draw tokens."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    repetition_penalty: float = Field(default=1.1, ge=1, le=2)
    max_tokens: PositiveInt = Field(default=160, le=4096)
    stop: tuple[str, ...] = Field(default=(), max_length=8)
    seed: NonNegativeInt | None = None


class GenerateRequest(Body):
    """Ask for one completion (``generate.request``)."""

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    user_id: UserId | None = Field(
        default=None, description="The persona; absent means the plain base model."
    )
    turns: tuple[Turn, ...] = Field(
        min_length=1, max_length=200, description="Oldest first; ends with a user turn."
    )
    sampling: Sampling = Sampling()
    deadline_at: AwareDatetime | None = Field(
        default=None, description="Past this instant nobody waits for the answer."
    )
    adapter: AdapterRef | None = Field(
        default=None, description="As resolved by the gateway; absent: inference looks the active one up."
    )


class GenerateProgress(Body):
    """What an accepted request waits for (``generate.progress``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId | None = None
    stage: Literal["loading", "generating"]


class GenerateResult(Body):
    """The whole text, or a typed error (``generate.result``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId | None = None
    text: str | None = Field(default=None, repr=False)
    finish_reason: Literal["stop", "length"] | None = None
    run_id: UUID | None = Field(
        default=None, description="The adapter that answered; absent for the base model."
    )
    prompt_tokens: NonNegativeInt = 0
    completion_tokens: NonNegativeInt = 0
    generate_s: float | None = None
    error: ErrorInfo | None = None


class TokenDelta(Body):
    """A piece of a completion under way (core NATS, lossy: the result carries all)."""

    request_id: UUID
    seq: NonNegativeInt
    text: str = Field(repr=False)
    done: bool = False


class Cancel(Body):
    """Stop it (core NATS ``<family>.cancel.<id>``)."""

    reason: str = ""
