"""Every variable of the playground, with its unit and a default that works on one machine."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from doppel.settings import DoppelSettings
from playground.limits import Mode

# Fixed, so that a restart on another day shows the same history: 2026-05-28T20:26:40Z.
DEFAULT_NOW = 1_780_000_000

EventName = Literal[
    "app_mention",
    "message.im",
    "message.channels",
    "reaction_added",
    "reaction_removed",
    "member_joined_channel",
    "app_home_opened",
    "tokens_revoked",
    "app_uninstalled",
]


class Settings(DoppelSettings):
    """Environment ``DOPPEL_PLAYGROUND_<NAME>``; what the gateway shares with us goes by its own name too."""

    model_config = SettingsConfigDict(env_prefix="DOPPEL_PLAYGROUND_", populate_by_name=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8090, ge=0, le=65535, description="Port to listen on; 0 is any free one.")
    public_url: str | None = Field(default=None, description="Prefix of response_urls and socket URLs.")
    signing_secret: SecretStr = Field(
        default=SecretStr("playground-signing-secret"),
        min_length=1,
        validation_alias=AliasChoices("DOPPEL_PLAYGROUND_SIGNING_SECRET", "DOPPEL_SLACK_SIGNING_SECRET"),
    )
    bot_token: SecretStr = Field(
        default=SecretStr("xoxb-playground-bot"),
        min_length=1,
        validation_alias=AliasChoices("DOPPEL_PLAYGROUND_BOT_TOKEN", "DOPPEL_SLACK_BOT_TOKEN"),
    )
    app_token: SecretStr = Field(
        default=SecretStr("xapp-playground-app"),
        min_length=1,
        validation_alias=AliasChoices("DOPPEL_PLAYGROUND_APP_TOKEN", "DOPPEL_SLACK_APP_TOKEN"),
    )
    client_id: str = Field(default="playground-client", min_length=1)
    client_secret: SecretStr = Field(default=SecretStr("playground-client-secret"), min_length=1)
    other_teams: Annotated[list[str], NoDecode] = Field(
        default=[], description="Ids of further workspaces, where the app can be installed by OAuth."
    )
    enterprise_id: str | None = Field(
        default=None,
        pattern=r"^E[A-Z0-9]+$",
        description="The organisation of all workspaces, if there is one.",
    )
    token_rotation: bool = Field(default=False, description="Installed tokens end, and are renewed.")
    token_life_s: PositiveFloat = Field(default=43_200, description="How long they live then.")
    team_id: str = Field(default="T0DOPPEL", pattern=r"^T[A-Z0-9]+$")
    api_app_id: str = Field(default="A0DOPPEL", pattern=r"^A[A-Z0-9]+$")
    seed: int = Field(default=7, description="Seed of the synthetic workspace.")
    now: int = Field(
        default=DEFAULT_NOW, description="End of the synthetic history, Unix seconds or ISO 8601."
    )
    message_count: PositiveInt = Field(default=2600, description="About how many messages the history holds.")
    bulk_channels: NonNegativeInt = Field(
        default=0, description="More than 0: a large workspace of so many channels instead, for benches."
    )
    bulk_messages: PositiveInt = Field(default=100_000, description="Its messages, replies included.")
    bulk_threads: NonNegativeInt = Field(default=6_000, description="Its threads.")
    rate_limits: Mode = Field(
        default="none",
        description="`slack`: Slack's tiers per method and token; `distributed`: histories and threads once a minute, "
        "15 a page, as apps get that are distributed outside the Marketplace.",
    )
    clock_scale: PositiveFloat = Field(
        default=1.0, description="How many times faster than Slack's the clock of the rate limits runs."
    )
    gateway_urls: Annotated[list[str], NoDecode] = Field(default=["http://127.0.0.1:8080"])
    stream_life_s: float = Field(
        default=300.0, gt=0, description="A streamed message without a new piece for so long is dead."
    )
    subscribe: Annotated[list[EventName], NoDecode] = Field(
        default=["app_mention", "message.im", "reaction_added", "app_home_opened"]
    )
    retry_scale: NonNegativeFloat = Field(
        default=1.0, description="Multiplies the retry delays 0, 60, 300 s."
    )
    delivery_timeout_s: PositiveFloat = Field(
        default=3.0, description="An unanswered delivery failed by then."
    )
    drain_s: PositiveFloat = Field(default=5.0, description="How long shutdown waits for deliveries.")
    socket_mode: Literal["auto", "only", "never"] = Field(
        default="auto",
        description="`auto`: over a socket while one is connected, else HTTP. `only`: as Slack with Socket Mode on.",
    )
    nats_url: str | None = Field(
        default=None, validation_alias=AliasChoices("DOPPEL_PLAYGROUND_NATS_URL", "DOPPEL_NATS_URL")
    )
    nats_user: str | None = Field(default=None, validation_alias=AliasChoices("DOPPEL_NATS_USER"))
    nats_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DOPPEL_NATS_PASSWORD")
    )

    @field_validator("gateway_urls", "subscribe", "other_teams", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text.startswith("["):
            return json.loads(text)
        return [part.strip() for part in text.split(",") if part.strip()]

    @field_validator("gateway_urls")
    @classmethod
    def _without_trailing_slash(cls, value: list[str]) -> list[str]:
        return [url.rstrip("/") for url in value]

    @field_validator("now", mode="before")
    @classmethod
    def _instant(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip().isdigit():
            instant = datetime.fromisoformat(value.strip())
            return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())
        return value
