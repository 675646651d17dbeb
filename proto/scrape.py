"""Reading a history and cutting datasets: ``scrape.request`` · ``scrape.progress`` · ``scrape.result``."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt, StringConstraints

from proto.body import Body, ErrorInfo, Sha256, TeamId, UserId
from proto.dataset import DatasetOptions, DatasetSummary
from proto.train import RecipeOverrides

Source = Annotated[
    str,
    StringConstraints(
        pattern=r"^(api|corpus:latest|(export|text):workspaces/[A-Z0-9]{2,31}/exports/[0-9a-f]{64}\.(zip|jsonl|csv))$"
    ),
]


TEXT_REQUIRED: Final = ("time", "channel", "text")
TEXT_OPTIONAL: Final = ("author", "author_id", "thread", "is_bot")
"""Fields of a text file: the keys of a JSONL object, the columns of a CSV. Others are ignored."""


class Window(Body):
    """Which part of the history: from `oldest` (exclusive) to `latest` (inclusive)."""

    oldest: AwareDatetime | None = None
    latest: AwareDatetime | None = None


class ScrapeRequest(Body):
    """Read a history into a corpus, and cut one persona's dataset where one is named (``scrape.request``)."""

    request_id: UUID | None = Field(
        default=None, description="Absent: derived from the message's place in the stream."
    )
    team_id: TeamId
    source: Source = Field(
        description="`api`, `export:<key>`, `text:<key>`, or `corpus:latest` to cut a dataset only."
    )
    user_id: UserId | None = Field(default=None, description="The persona; absent: corpus only.")
    window: Window = Window()
    then_train: bool = Field(
        default=False, description="Echoed in the result; the gateway then asks for the training."
    )
    dataset: DatasetOptions = Field(default=DatasetOptions(), description="How the dataset is cut.")
    overrides: RecipeOverrides = Field(default=RecipeOverrides(), description="Handed on to the training.")
    requested_at: AwareDatetime | None = None


class ScrapeProgress(Body):
    """How far a scrape is (``scrape.progress``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId | None = None
    stage: Literal["reading", "writing", "cutting"]
    step: NonNegativeInt = Field(default=0, description="Messages read so far.")
    total: NonNegativeInt = Field(default=0, description="0: unknown.")
    channels_done: NonNegativeInt = 0
    channel_count: NonNegativeInt = 0
    requests: NonNegativeInt = Field(default=0, description="Calls to Slack made so far.")
    slow_mode: bool = Field(
        default=False, description="Slack gives this app one page of 15 a minute; `eta_s` reckons with it."
    )
    eta_s: float | None = None


class SampleCounts(Body):
    """Samples per split."""

    train: NonNegativeInt = 0
    validation: NonNegativeInt = 0
    test: NonNegativeInt = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.train + self.validation + self.test


class ScrapeResult(Body):
    """How a scrape ended (``scrape.result``)."""

    request_id: UUID
    team_id: TeamId
    user_id: UserId | None = None
    source: str = ""
    corpus_id: UUID | None = None
    message_count: NonNegativeInt = 0
    channel_count: NonNegativeInt = 0
    dataset_id: UUID | None = None
    samples: SampleCounts | None = None
    dropped: dict[str, int] = Field(default={}, description="Reason → messages left out of the dataset.")
    summary: DatasetSummary | None = Field(default=None, description="The dataset's numbers.")
    dataset_sha256: Sha256 | None = Field(
        default=None, description="Of what the dataset says: the same corpus and settings give the same."
    )
    then_train: bool = False
    overrides: RecipeOverrides = RecipeOverrides()
    requested_at: AwareDatetime | None = None
    error: ErrorInfo | None = None
