"""Settings are read once, at the door: ``DOPPEL_<NAME>`` from the environment, or ``DOPPEL_<NAME>_FILE``."""

import os
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "DOPPEL_"


class SettingsError(Exception):
    """A setting is missing or wrong; the sentence names the variable."""


class _FileSource(PydanticBaseSettingsSource):
    """``DOPPEL_X_FILE=/run/secrets/x`` gives x: for secrets that must not stand in the environment."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Read the named file, if there is one; an empty one says nothing, as an empty variable does."""
        prefix = self.settings_cls.model_config.get("env_prefix", PREFIX)
        path = os.environ.get(f"{prefix}{field_name}_FILE".upper())  # noqa: TID251  this is the door
        return (Path(path).read_text().strip() or None if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All fields that have a file."""
        fields = self.settings_cls.model_fields
        found = ((name, self.get_field_value(field, name)[0]) for name, field in fields.items())
        return {name: value for name, value in found if value is not None}


class DoppelSettings(BaseSettings):
    """The base of all settings classes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first (tests), then the environment, then ``…_FILE``."""
        return init_settings, env_settings, _FileSource(settings_cls)

    @classmethod
    def read(cls) -> Self:
        """Read the environment. Raises SettingsError with one sentence that names the variable."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = f"{PREFIX}{str(first['loc'][0]).upper()}" if first["loc"] else "the environment"
            raise SettingsError(f"{name}: {first['msg']}. Set it; deploy/.env.example says how.") from None
        except OSError as error:
            raise SettingsError(
                f"A {PREFIX}…_FILE can't be read: {error.strerror} ({error.filename})."
            ) from error


class TelemetrySettings(DoppelSettings):
    """Logs, health, metrics, traces."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="How much a service says. No level prints what people wrote."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="For people, or one JSON object a line."
    )
    health_host: str = Field(
        default="127.0.0.1", description="Where /health/live, /health/ready and /metrics listen."
    )
    health_port: int = Field(default=0, ge=0, le=65535, description="Their port; 0 picks a free one.")
    otlp_endpoint: str | None = Field(
        default=None, description="Where traces go (OTLP over HTTP). Absent: ids in logs and headers only."
    )


class BusSettings(DoppelSettings):
    """How to reach NATS, and its clocks."""

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="nats-server.")
    nats_user: str | None = Field(default=None, description="User on the bus.")
    nats_password: SecretStr | None = Field(default=None, description="Its password.")
    ack_wait_s: PositiveFloat | None = Field(
        default=None,
        description="Redeliver after so long without a heartbeat; absent: per consumer. Short in tests.",
    )
    graceful_timeout_s: PositiveFloat = Field(
        default=20, description="How long running handlers may go on after SIGTERM."
    )


class StorageSettings(DoppelSettings):
    """How to reach S3."""

    s3_endpoint: str = Field(default="127.0.0.1:9000", description="host:port of any S3.")
    s3_access_key: str = Field(default="doppel", description="Access key.")
    s3_secret_key: SecretStr = Field(default=SecretStr(""), description="Secret key.")
    s3_bucket: str = Field(default="doppel", description="The bucket that holds every artifact.")
    s3_region: str = Field(default="us-east-1", description="Region; saves a look-up per bucket.")
    s3_secure: bool = Field(default=False, description="Use https.")


class DatabaseSettings(DoppelSettings):
    """How to reach PostgreSQL."""

    postgres_dsn: SecretStr = Field(
        default=SecretStr("postgresql://127.0.0.1:5432/doppel"),
        description="postgresql://user:password@host:port/database",
    )
    postgres_password: SecretStr | None = Field(
        default=None, description="The password, where the address holds none."
    )
    postgres_pool_size: PositiveInt = Field(default=5, description="Connections a replica may hold.")

    @property
    def dsn(self) -> str:
        """The address with its password."""
        address = urlsplit(self.postgres_dsn.get_secret_value())
        if self.postgres_password is None or address.password is not None:
            return address.geturl()
        user, _, place = address.netloc.rpartition("@")
        password = quote(self.postgres_password.get_secret_value(), safe="")
        return address._replace(netloc=f"{user}:{password}@{place}").geturl()


SLACKS_PERMISSION: Final = "i-have-slacks-permission"


class SourceSettings(DoppelSettings):
    """The operator's word on what a persona may be trained on."""

    train_on_slack_api: str = Field(
        default="",
        description=f"`{SLACKS_PERMISSION}` allows training on messages read through Slack's API. "
        "Anything else: exports and text files only.",
    )

    @property
    def may_train_on_slack_api(self) -> bool:
        """Only those very words are a yes."""
        return self.train_on_slack_api == SLACKS_PERMISSION


class SharedSettings(TelemetrySettings, BusSettings, StorageSettings, DatabaseSettings):
    """What every service reads."""

    base_model: str = Field(
        default="smollm2-135m-instruct",
        description="The one base model: a Hugging Face id, a folder, `smollm2-135m-instruct` or `tiny`.",
    )
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128] = Field(
        default=32, description="Largest LoRA rank; trainer and inference agree on it."
    )
    system_template: str = Field(
        default=(
            "You are {name}, who works here. Continue the workspace conversation below in your own voice."
        ),
        description="The system turn a persona is trained and asked with; {name} is filled in.",
    )
