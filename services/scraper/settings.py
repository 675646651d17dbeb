"""The scraper's variables."""

from pathlib import Path

from pydantic import ByteSize, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from doppel.settings import SharedSettings, SourceSettings
from proto.dataset import DatasetOptions

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
        default=8, description="Calls of one method that a scrape has under way side by side."
    )
    slack_rate_scale: PositiveFloat = Field(
        default=1,
        description="1: Slack's own rate limits. Larger only against a playground whose clock runs so much faster.",
    )
    channels_at_once: PositiveInt = Field(
        default=200, description="Channels that one scrape reads side by side."
    )
    opt_out_channels: str = Field(
        default="",
        description="Public channels that are never joined nor read through the API, by name or id, comma-separated.",
    )
    incremental: bool = Field(
        default=True,
        description="Read through the API only what is new since the workspace's last reading, and `recheck_days` "
        "before. Off: everything, each time.",
    )
    recheck_days: NonNegativeFloat = Field(
        default=30, description="How far before the last reading edits and deletions are looked for."
    )
    scratch_folder: Path | None = Field(
        default=None,
        description="Where a scrape sorts; as large as the export unpacked. Absent: the system's.",
    )
    export_bytes: ByteSize = Field(default=ByteSize(20 * GIB), description="A larger upload is refused.")
    scrape_lease_s: PositiveFloat = Field(
        default=45, description="Without renewal for so long, another replica takes a scrape over."
    )
    upload_days: PositiveFloat = Field(
        default=8,
        description="An upload that no scrape has read is deleted after so long; a request waits 7 days at most.",
    )
    leftover_hours: PositiveFloat = Field(
        default=24, description="What a killed scrape left in the bucket is deleted after so long."
    )
    collect_every_s: PositiveFloat = Field(
        default=6 * 3600, description="How often one of the replicas looks for such leftovers."
    )
    min_samples: PositiveInt = Field(default=40, description="Fewer usable samples are refused.")
    max_samples: PositiveInt = Field(
        default=20_000, description="Of a person with more, the newest are kept."
    )
    channel_samples: PositiveInt = Field(
        default=5_000, description="At most so many of one channel, the newest."
    )
    dataset_days: NonNegativeInt = Field(
        default=0,
        description="Only answers of so many days before the corpus's last message are learnt from; 0: all.",
    )
    min_characters: NonNegativeInt = Field(
        default=12, description="Shorter answers are left out: they say nothing of how somebody writes."
    )
    context_tokens: PositiveInt = Field(
        default=512, description="Tokens of the base model that what was said before an answer may take."
    )
    context_messages: PositiveInt = Field(default=24, description="Earlier messages a sample may hold.")
    phone_regions: str = Field(
        default="US,GB,DE,FR,NL,IN",
        description="Countries whose national way of writing a phone number is redacted, comma-separated; "
        "international ones are always.",
    )

    @property
    def dataset_options(self) -> DatasetOptions:
        """What a request may wish otherwise."""
        return DatasetOptions(
            days=self.dataset_days,
            max_samples=self.max_samples,
            channel_samples=self.channel_samples,
            min_characters=self.min_characters,
            context_tokens=self.context_tokens,
            context_messages=self.context_messages,
        )

    @property
    def phone_region_codes(self) -> tuple[str, ...]:
        """`phone_regions`, one by one."""
        return tuple(code for part in self.phone_regions.split(",") if (code := part.strip().upper()))

    @property
    def opted_out(self) -> frozenset[str]:
        """Names and ids of `opt_out_channels`, as they are compared."""
        named = (part.strip().removeprefix("#") for part in self.opt_out_channels.split(","))
        return frozenset(form for name in named if name for form in (name, name.casefold()))
