"""What one machine may be told, and the one place where a child's environment begins."""

import os
from pathlib import Path

from pydantic import ByteSize, Field, PositiveFloat, SecretStr

from doppel.settings import DoppelSettings

GIB = 1024**3


class LocalSettings(DoppelSettings):
    """Settings of `doppel up`, `doppel down` and of everything that looks for the local stack."""

    home: Path = Field(default=Path(".doppel"), description="State, logs and addresses of the local stack.")
    need_memory_bytes: ByteSize = Field(
        default=ByteSize(10 * GIB), description="Free memory that `doppel up` asks for."
    )
    need_disk_bytes: ByteSize = Field(
        default=ByteSize(8 * GIB), description="Free disk that `doppel up` asks for."
    )
    ready_timeout_s: PositiveFloat = Field(
        default=600,
        description="How long `doppel up` waits for a service to be ready; an engine may take minutes.",
    )
    base_model: str = Field(
        default="smollm2-135m-instruct", description="The base model that `doppel up` prepares and serves."
    )
    ack_wait_s: PositiveFloat | None = Field(default=None, description="As the services read it.")
    graceful_timeout_s: PositiveFloat = Field(
        default=10, description="How long a service's running work may go on after Ctrl-C."
    )
    slack_bot_token: SecretStr | None = Field(
        default=None, description="A real workspace's token: then `doppel up` starts no playground."
    )
    slack_signing_secret: SecretStr | None = Field(default=None, description="And its signing secret.")
    slack_api_url: str | None = Field(
        default=None, description="Where Slack's Web API is, if not at Slack's."
    )
    public_url: str | None = Field(
        default=None, description="Where Slack and browsers reach the gateway; absent: on this machine."
    )
    encryption_keys: SecretStr | None = Field(
        default=None, description="Keys for stored tokens; absent: one is made per state folder."
    )

    @property
    def real_slack(self) -> bool:
        """A token without another address means Slack itself."""
        return self.slack_bot_token is not None and self.slack_api_url is None


def inherited() -> dict[str, str]:
    """The environment that a child starts from: ours."""
    return dict(os.environ)  # noqa: TID251  a child's environment is built from ours, here and nowhere else
