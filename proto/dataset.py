"""What a dataset was cut with and what is in it: wishes, settings, summary, card. Numbers only, nobody's words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from proto.body import Body, Sha256, Ts

DATASET_CARD_FILE = "card.json"
DATASET_PAGE_FILE = "card.html"


class DatasetOptions(Body):
    """Wishes for one dataset; what is absent is taken from the scraper's settings."""

    days: NonNegativeInt | None = Field(
        default=None, le=36_500, description="Only answers of so many days before the corpus's end; 0: all."
    )
    max_samples: PositiveInt | None = Field(default=None, le=1_000_000, description="The newest are kept.")
    channel_samples: PositiveInt | None = Field(
        default=None, le=1_000_000, description="At most so many of one channel, the newest."
    )
    min_characters: NonNegativeInt | None = Field(
        default=None, le=10_000, description="Shorter answers are left out."
    )
    context_tokens: PositiveInt | None = Field(
        default=None, ge=16, le=32_768, description="Of the base model; what was said before fits into them."
    )
    context_messages: PositiveInt | None = Field(default=None, le=1_000, description="And no more messages.")


class DatasetSettings(Body):
    """Everything that decides a dataset's bytes, beside its corpus."""

    days: NonNegativeInt
    max_samples: PositiveInt
    channel_samples: PositiveInt
    min_characters: NonNegativeInt
    context_tokens: PositiveInt
    context_messages: PositiveInt
    phone_regions: tuple[str, ...] = ()
    base_model: str = Field(description="Whose tokens are counted.")
    base_model_sha256: Sha256


class DatasetSummary(Body):
    """What Slack and the command line show: numbers."""

    sample_count: NonNegativeInt = 0
    message_count: NonNegativeInt = Field(
        default=0, description="Of the persona, in the samples; several in a row are one sample."
    )
    context_tokens: NonNegativeInt = 0
    response_tokens: NonNegativeInt = 0
    channel_count: NonNegativeInt = 0
    oldest_ts: Ts | None = None
    latest_ts: Ts | None = None
    dropped: dict[str, int] = Field(default={}, description="Reason → the persona's messages left out.")

    @property
    def dropped_count(self) -> int:
        """All of them."""
        return sum(self.dropped.values())


class Histogram(Body):
    """Counts between edges: `counts[i]` lies in [edges[i], edges[i+1]), the last one is open."""

    unit: Literal["tokens", "characters", "messages"]
    edges: tuple[int, ...]
    counts: tuple[NonNegativeInt, ...]
    median: float = 0.0
    p95: float = 0.0
    largest: NonNegativeInt = 0


class ChannelCount(Body):
    """One channel's share."""

    channel_id: str
    name: str = Field(default="", repr=False)
    sample_count: NonNegativeInt


class SplitCard(Body):
    """One split: how much, and from when to when."""

    sample_count: NonNegativeInt = 0
    context_tokens: NonNegativeInt = 0
    response_tokens: NonNegativeInt = 0
    conversation_count: NonNegativeInt = 0
    oldest_ts: Ts | None = None
    latest_ts: Ts | None = None


class DatasetCard(Body):
    """``card.json``: what is in a dataset. The same corpus and settings give the same card."""

    schema_version: int = 1
    content_sha256: Sha256
    summary: DatasetSummary
    settings: DatasetSettings
    splits: dict[Literal["train", "validation", "test"], SplitCard]
    context_tokens: Histogram
    response_tokens: Histogram
    response_characters: Histogram
    messages_in_a_row: Histogram
    channels: tuple[ChannelCount, ...] = Field(description="The most samples first.")
    months: dict[str, int] = Field(description="``2024-05`` → samples.")
    hours: tuple[NonNegativeInt, ...] = Field(description="Samples by the hour of the day, UTC.")


LATEST_S = 253_402_300_799  # the last second of the year 9999


def say_day(ts: str | None) -> str:
    """``2024-05-17``, UTC."""
    if ts is None:
        return "never"
    return f"{datetime.fromtimestamp(min(int(ts.partition('.')[0]), LATEST_S), UTC):%Y-%m-%d}"


def say_summary(summary: DatasetSummary) -> str:
    """``412 samples from 530 messages in 3 channels, 2023-01-02 to 2024-05-17, 9,340 tokens to learn``"""
    channels = "1 channel" if summary.channel_count == 1 else f"{summary.channel_count:,} channels"
    return (
        f"{summary.sample_count:,} samples from {summary.message_count:,} messages in {channels}, "
        f"{say_day(summary.oldest_ts)} to {say_day(summary.latest_ts)}, "
        f"{summary.response_tokens:,} tokens to learn"
    )


REASONS: dict[str, str] = {
    "too_short": "too short",
    "too_long": "too long",
    "no_context": "answering nobody",
    "near_duplicate": "said nearly the same before",
    "pasted_log": "pasted logs",
    "only_link": "bare links",
    "only_emoji": "only emoji",
    "only_code": "only code",
    "forwarded": "quoted or forwarded text",
    "command": "commands to bots",
    "too_old": "older than asked for",
    "over_channel_cap": "above the channel's cap",
    "over_cap": "above the cap",
    "only_private": "nothing but secrets or addresses",
}
"""Why a message was left out → how that is said to a person."""


def largest_reasons(dropped: Mapping[str, int]) -> list[tuple[str, int]]:
    """Why messages were left out, in words, the largest first; what left out none is no reason."""
    largest = sorted(dropped.items(), key=lambda each: (-each[1], each[0]))
    return [(REASONS.get(reason, reason), count) for reason, count in largest if count]


def say_dropped(dropped: Mapping[str, int], most: int = 3) -> str:
    """``812 too short, 40 bare links``: the largest reasons first."""
    return ", ".join(f"{count:,} {reason}" for reason, count in largest_reasons(dropped)[:most])
