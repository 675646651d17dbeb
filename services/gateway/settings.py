"""Every variable of the gateway."""

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from doppel.settings import SettingsError, SharedSettings

PERMISSION = "i-have-slacks-permission"


class Settings(SharedSettings):
    """Slack, HTTP and the clocks of the outbox."""

    gateway_host: str = Field(default="127.0.0.1", description="Where the gateway listens for Slack.")
    gateway_port: int = Field(default=8080, ge=0, le=65535, description="Its port; 0 picks a free one.")
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="The address under which Slack and browsers reach the gateway.",
    )
    slack_api_url: str = Field(
        default="https://slack.com/api/", description="Slack's Web API, or the playground's."
    )
    slack_bot_token: SecretStr | None = Field(
        default=None, description="Bot token (xoxb-…) of the one workspace. Stored encrypted at start."
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Signing secret of the Slack app."
    )
    encryption_keys: SecretStr = Field(
        default=SecretStr(""), description="Fernet keys for stored tokens, newest first, comma-separated."
    )
    train_on_slack_api: str = Field(
        default="",
        description=f"`{PERMISSION}` allows training on messages read through Slack's API. Read the README.",
    )
    max_body_bytes: PositiveInt = Field(default=400_000, description="Larger requests are refused with 413.")
    answer_deadline_s: PositiveFloat = Field(
        default=180, description="An answer that takes longer is given up."
    )
    outstanding_limit: PositiveInt = Field(
        default=8, description="Questions of one workspace at the engine at once."
    )
    context_messages: PositiveInt = Field(
        default=20, description="Messages of a thread that an answer may see."
    )
    context_characters: PositiveInt = Field(
        default=6000, description="Characters of a thread that an answer may see."
    )
    claim_ttl_s: PositiveFloat = Field(
        default=30, description="How long a replica may hold a message it is posting."
    )
    slack_timeout_s: PositiveFloat = Field(default=10, description="Time limit of one call to Slack.")
    settle_s: PositiveFloat | None = Field(
        default=None, description="When a lost post may be repeated; absent: claim + timeout + 30 s."
    )
    progress_every_s: PositiveFloat = Field(
        default=3, description="A progress message changes at most this often."
    )

    @property
    def settle_after_s(self) -> float:
        """SETTLE of the outbox."""
        return self.settle_s or self.claim_ttl_s + self.slack_timeout_s + 30

    @property
    def may_scrape(self) -> bool:
        """The operator has said that Slack allows it."""
        return self.train_on_slack_api == PERMISSION

    @model_validator(mode="after")
    def _clocks_fit(self) -> "Settings":
        if self.claim_ttl_s / 2 + self.slack_timeout_s > self.settle_after_s:
            raise ValueError("DOPPEL_SETTLE_S must be longer than half a claim and one call to Slack")
        return self

    def need_signing_secret(self) -> str:
        """The signing secret. Raises SettingsError: without it every request would be refused."""
        if self.slack_signing_secret is None or not self.slack_signing_secret.get_secret_value():
            raise SettingsError(
                "DOPPEL_SLACK_SIGNING_SECRET is missing; it stands under Basic Information of the app."
            )
        return self.slack_signing_secret.get_secret_value()
