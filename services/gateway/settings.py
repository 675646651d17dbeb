"""Every variable of the gateway."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from doppel.settings import SharedSettings

SAFETY_S = 30.0  # Slack documents no bound on when a post can be read back


class GatewaySettings(SharedSettings):
    """What the gateway reads beside the shared settings."""

    gateway_host: str = Field(default="127.0.0.1", description="Where Slack's requests come in.")
    gateway_port: NonNegativeInt = Field(default=8080, le=65535, description="Its port; 0 picks a free one.")
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="How the gateway is reached from outside; no slash at its end.",
    )
    slack_bot_token: SecretStr | None = Field(
        default=None, description="xoxb-… of the one workspace; absent: imported workspaces only."
    )
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Signs what Slack sends; absent: nothing from Slack is let in."
    )
    slack_app_token: SecretStr | None = Field(
        default=None,
        description="xapp-… with connections:write: Socket Mode, for a gateway without public URL.",
    )
    slack_sockets: PositiveInt = Field(
        default=2, le=10, description="Sockets a replica keeps open; Slack allows ten per app."
    )
    slack_client_id: str | None = Field(
        default=None,
        description="Of the app: lets workspaces install it at /slack/install; absent: nobody can.",
    )
    slack_client_secret: SecretStr | None = Field(default=None, description="The app's, for installations.")
    slack_api_url: str = Field(
        default="https://slack.com/api/", description="Slack's Web API, or the playground's."
    )
    encryption_keys: SecretStr = Field(
        default=SecretStr(""), description="Keys for stored tokens, comma-separated, the newest first."
    )
    train_on_slack_api: str = Field(
        default="",
        description="`i-have-slacks-permission` lets a training read the history through Slack's API.",
    )
    corpus_max_age_s: PositiveFloat = Field(
        default=86400, description="A training reads the history again where the corpus is older."
    )
    body_limit_bytes: PositiveInt = Field(
        default=400 * 1024, description="Larger requests are refused with 413."
    )
    catch_up_after_s: PositiveFloat = Field(
        default=240,
        description="After so long without listening to Slack, its channels are read for mentions.",
    )
    late_after_s: PositiveFloat = Field(default=600, description="An answer that comes later says so.")
    too_late_s: PositiveFloat = Field(default=86400, description="What is older is not answered any more.")
    listen_every_s: PositiveFloat = Field(
        default=10, description="How often a replica writes down that it listens."
    )
    slack_timeout_s: PositiveFloat = Field(default=10, description="Longest call of Slack's Web API.")
    claim_ttl_s: PositiveFloat = Field(
        default=30, description="How long a claimed message is one replica's to post."
    )
    settle_s: PositiveFloat | None = Field(
        default=None,
        description="How long an unseen post may still appear; absent: claim, Slack's timeout and 30 s.",
    )
    answer_deadline_s: PositiveFloat = Field(
        default=120, description="A mention is answered within, or told so."
    )
    outstanding_per_workspace: PositiveInt = Field(
        default=8, description="Questions of one workspace that wait at the engine at once."
    )
    thread_messages: PositiveInt = Field(
        default=12, le=200, description="Messages of a thread that are read."
    )
    thread_characters: PositiveInt = Field(default=4000, le=30_000, description="And their characters.")
    progress_every_s: PositiveFloat = Field(
        default=3, description="A progress message changes at most so often."
    )
    linger_s: NonNegativeFloat = Field(
        default=2, description="How long requests are still taken after SIGTERM, while others learn of it."
    )
    sweep_every_s: PositiveFloat = Field(
        default=1, description="How often what was left behind is looked for."
    )

    who_may_train: Literal["members", "self", "admins"] = Field(
        default="members",
        description="Who may ask for a training: `members` for anybody, `self` for themselves, `admins`. "
        "A workspace's admin decides it with `/doppel limits`.",
    )
    guests_may_ask: bool = Field(
        default=False,
        description="Guests and people of other workspaces hear personas. An admin decides it too.",
    )
    personas_per_workspace: PositiveInt = Field(
        default=50, description="People of one workspace with a persona. An admin can lower it."
    )
    runs_a_day: PositiveInt = Field(
        default=20, description="Trainings of one workspace in 24 hours. An admin can lower it."
    )
    replies_a_minute: PositiveInt = Field(
        default=600,
        description="Questions of one workspace that go to the engine in a minute; an admin can lower it.",
    )

    reply_mode: Literal["single", "stream"] = Field(
        default="single",
        description="`single`: a status line, then the answer. `stream`: the answer as it is written.",
    )
    streams_a_minute: PositiveInt = Field(
        default=15,
        le=20,
        description="Streamed answers that one workspace may begin in a minute; more come in one piece.",
    )
    stream_every_s: PositiveFloat = Field(
        default=1.0, description="A streamed answer grows at most so often."
    )
    debate_turns: PositiveInt = Field(
        default=6, le=50, description="Answers of a debate, both sides' together; then it is over."
    )

    @property
    def settle_after_s(self) -> float:
        """How long to look before a post with an unknown outcome is sent again."""
        return self.settle_s or self.claim_ttl_s + self.slack_timeout_s + SAFETY_S

    @property
    def api_training_allowed(self) -> bool:
        """The operator has said the sentence."""
        return self.train_on_slack_api == "i-have-slacks-permission"
