"""What every message body has in common: frozen, tolerant of the future, silent about its text."""

from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SCHEMA_VERSION: Final = "1"
NAMESPACE: Final = UUID("6f4c1f7e-5d0b-5c34-9a53-0a6d6f70706c")  # of every id that doppel derives

TeamId = Annotated[str, StringConstraints(pattern=r"^[TE][A-Z0-9]{1,30}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{1,30}$")]
ChannelId = Annotated[str, StringConstraints(pattern=r"^[CDG][A-Z0-9]{1,30}$")]
AppId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Ts = Annotated[str, StringConstraints(pattern=r"^\d{1,12}\.\d{1,9}$")]
"""Slack's timestamp: text, always. Through a float ``1700000000.000100`` loses its last digits."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ObjectKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.=-]*(/[A-Za-z0-9_-][A-Za-z0-9_.=-]*)*/?$", max_length=900
    ),
]
"""A key in the bucket. No part of it begins with a dot, so ``../../x`` is not one."""


class Body(BaseModel):
    """A message body or manifest: immutable, unknown fields ignored, errors that do not quote their input."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ErrorInfo(Body):
    """A typed error as it travels in ``*.result``."""

    code: str = Field(description="Stable, machine readable: `no_consent`, `adapter_missing` …")
    message: str = Field(description="One plain sentence for a person: what is wrong and what to do.")


def derived_id(*parts: str) -> UUID:
    """Derive an id from what it stands for, so that a redelivery names the same thing (uuid5, RFC 9562)."""
    return uuid5(NAMESPACE, "/".join(parts))


def id_of_delivery(stream: str, sequence: int) -> UUID:
    """The id of a hand-published message that brings none: uuid5 of ``<stream>:<sequence>``."""
    return uuid5(NAMESPACE, f"{stream}:{sequence}")


def utc(seconds: float) -> datetime:
    """An aware UTC instant from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
