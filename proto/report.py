"""The voice report: what a run sounds like, in numbers, beside the plain base model and the person themselves."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, NonNegativeInt

from proto.body import Body, ObjectKey, Sha256, TeamId, UserId


class LossPoint(Body):
    """One step of the training's curve. Nats per persona token."""

    step: NonNegativeInt
    train_loss: float | None = None
    validation_loss: float | None = None


class StyleFeature(Body):
    """One habit of writing, counted in three heaps of text."""

    name: str = Field(repr=False)
    own: float = Field(description="The person's real messages.")
    generated: float
    others: float | None = Field(default=None, description="Real messages of the people they talk with.")


class Style(Body):
    """Burrows's Delta between heaps of text: the mean difference of their habits, in standard deviations."""

    to_own: float = Field(description="Generated answers to the person's real ones.")
    to_others: float | None = Field(default=None, description="Generated answers to other people's.")
    base_to_own: float | None = Field(default=None, description="The base model's answers to the person's.")
    features: tuple[StyleFeature, ...] = ()


class Authorship(Body):
    """What a classifier that was trained on real messages alone says of generated ones. Shares of 1."""

    generated: float = Field(description="Generated answers taken for the person's.")
    base: float | None = Field(default=None, description="The base model's answers taken for the person's.")
    real: float = Field(description="Held-out messages of the person that it recognises.")
    others: float = Field(description="Held-out messages of other people taken for the person's.")
    trained_on: NonNegativeInt


class Repetition(Body):
    """How often the voice repeats itself. Shares of 1."""

    within: float = Field(description="Groups of three words that an answer has said before.")
    own_within: float = Field(description="The same in the person's real messages.")
    identical: float = Field(description="Answers that equal another one.")
    looping: float = Field(description="Answers that end in a loop.")


class Memorisation(Body):
    """What comes out as it was learnt, outside quotes, links, and phrases that the person uses again and again."""

    overlap_words: NonNegativeInt = Field(description="Longest run of words in a generated answer.")
    extracted_words: NonNegativeInt = Field(
        description="Longest run that follows by itself from the conversation that it was written in."
    )
    probed: NonNegativeInt = Field(description="Training samples that were tried.")
    canaries: NonNegativeInt = Field(description="Strings among them that nobody could guess.")
    canaries_out: NonNegativeInt = Field(description="How many of these came out.")


class Example(Body):
    """What was really answered, and what the voice says in the same place.

    `real` is seen by the command only; Slack shows some of what a published voice generated.
    """

    real: str = Field(repr=False)
    generated: str = Field(repr=False)
    base: str | None = Field(default=None, repr=False)


class Measures(Body):
    """Everything that was measured of one run."""

    base_test_loss: float = Field(description="Nats per persona token on the test split, plain base model.")
    test_loss: float = Field(description="The same with the adapter.")
    validation_loss: float
    test_samples: NonNegativeInt
    answers: NonNegativeInt = Field(description="Generated on conversations of the test split.")
    style: Style | None = Field(default=None, description="Absent where there is too little text.")
    authorship: Authorship | None = Field(default=None, description="Absent where there is too little text.")
    repetition: Repetition | None = None
    memorisation: Memorisation | None = None
    curve: tuple[LossPoint, ...] = ()
    examples: tuple[Example, ...] = Field(default=(), repr=False)
    measure_s: float = 0.0


class VoiceReport(Body):
    """``report.json``: the measures and what the gate said."""

    schema_version: int = 1
    created_at: AwareDatetime
    run_id: UUID
    team_id: TeamId
    user_id: UserId
    dataset_id: UUID
    base_model: str
    code_version: str
    state: Literal["published", "rejected"]
    sentence: str = Field(description="The whole report in one sentence.")
    measures: Measures


class ReportRef(Body):
    """Where a report lies, the hash that makes it trustworthy, and what it says in short."""

    prefix: ObjectKey
    manifest_sha256: Sha256
    sentence: str
    style_to_own: float | None = None
    style_to_others: float | None = None
    authorship: float | None = None
    overlap_words: NonNegativeInt | None = None
