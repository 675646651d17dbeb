"""The scraper's variables."""

from pathlib import Path

from pydantic import ByteSize, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from doppel.settings import SharedSettings, SourceSettings

GIB = 1024**3


class Settings(SharedSettings, SourceSettings):
    """Environment of ``python -m services.scraper``: ``DOPPEL_<NAME>``."""

    encryption_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Keys of the stored Slack tokens, comma-separated, newest first. Needed for the source `api`.",
    )
    slack_api_url: str = Field(
        default="https://slack.com/api/", description="Slack's Web API, or the playground's."
    )
    slack_timeout_s: PositiveFloat = Field(default=15, description="A Slack call ends within this.")
    slack_calls_at_once: PositiveInt = Field(
        default=8, description="Calls that one scrape makes side by side."
    )
    channels_at_once: PositiveInt = Field(
        default=8, description="Channels that one scrape reads side by side."
    )
    scratch_folder: Path | None = Field(
        default=None,
        description="Where a scrape sorts; as large as the export unpacked. Absent: the system's.",
    )
    export_bytes: ByteSize = Field(default=ByteSize(20 * GIB), description="A larger upload is refused.")
    scrape_lease_s: PositiveFloat = Field(
        default=45, description="Without renewal for so long, another replica takes a scrape over."
    )
    upload_days: PositiveInt = Field(
        default=8,
        description="An upload that no scrape has read is deleted after so long; a request waits 7 days at most.",
    )
    min_samples: PositiveInt = Field(default=40, description="Fewer usable samples are refused.")
    max_samples: PositiveInt = Field(
        default=20_000, description="Of a person with more, the newest are kept."
    )
    context_messages: PositiveInt = Field(default=12, description="Earlier messages a sample may hold.")
    context_characters: PositiveInt = Field(default=2_000, description="And their characters.")
    dataset_seed: NonNegativeInt = Field(default=0, description="Decides the split of a dataset.")
