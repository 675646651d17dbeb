"""What the queries take and give."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import asyncpg

from proto.scrape import SampleCounts, ScrapeResult


@dataclass(frozen=True)
class Claim:
    """A scrape that is ours now. `corpus_id`: an earlier holder got so far."""

    request_id: UUID
    fence: int
    created_at: datetime
    corpus_id: UUID | None


@dataclass(frozen=True)
class Finished:
    """A scrape that came to its end before; `result` is what was published then, None when it was stopped."""

    result: ScrapeResult | None


@dataclass(frozen=True)
class CorpusRow:
    """A committed corpus."""

    corpus_id: UUID
    team_id: str
    source: str
    prefix: str
    manifest_sha256: str
    message_count: int
    channel_count: int
    content_sha256: str | None = None

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        """From the table's row, whatever else stands in it."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class DatasetRow:
    """A dataset about to be committed."""

    dataset_id: UUID
    team_id: str
    user_id: str
    corpus_id: UUID
    source: str
    prefix: str
    manifest_sha256: str
    samples: SampleCounts
    people: frozenset[str]  # whose words are in it as context


@dataclass(frozen=True)
class Installation:
    """How to reach a workspace: its sealed token."""

    bot_token: bytes
    enterprise_id: str | None


@dataclass(frozen=True)
class Baseline:
    """The newest corpus that another reading may start from, and where its state lies."""

    corpus_id: UUID
    prefix: str
    manifest_sha256: str
    state_key: str
    state_sha256: str
