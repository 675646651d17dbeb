"""``.doppel/endpoints.json``: every address and credential of the running local stack, for people and scripts."""

from pathlib import Path

from pydantic import BaseModel, Field

from doppel.local.files import write_private


class S3Endpoint(BaseModel):
    """How to reach the bucket."""

    endpoint: str
    access_key: str
    secret_key: str = Field(repr=False)
    bucket: str


class Endpoints(BaseModel):
    """What the file holds. Written whole, mode 0600, again whenever a child gets a new pid."""

    ready: bool = False
    base_model: str = ""
    nats_url: str = Field(repr=False)
    nats_monitor_url: str
    postgres_dsn: str = Field(repr=False)
    postgres_dsns: dict[str, str] = Field(repr=False, description="One per role; `reader` is the command's.")
    s3: S3Endpoint
    gateway_url: str
    gateway_urls: list[str]
    playground_url: str | None
    signing_secret: str = Field(repr=False)
    metrics: dict[str, str] = {}
    pids: dict[str, int] = {}


def write(path: Path, endpoints: Endpoints) -> None:
    """Replace the file at once: a reader never sees half of it."""
    write_private(path, endpoints.model_dump_json(indent=1))


def read(path: Path) -> Endpoints | None:
    """What runs here; None where no stack was started."""
    try:
        return Endpoints.model_validate_json(path.read_text())
    except (OSError, ValueError):
        return None
