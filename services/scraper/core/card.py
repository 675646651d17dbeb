"""The numbers of a dataset, collected sample by sample: none of its words."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from proto.artifacts import SPLITS, Split
from proto.dataset import ChannelCount, DatasetCard, DatasetSettings, DatasetSummary, Histogram, SplitCard
from services.scraper.core.rendering import Rendered
from services.scraper.core.timestamps import ts_key

TOKEN_EDGES: Final = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
CHARACTER_EDGES: Final = (0, 20, 40, 80, 160, 320, 640, 1280, 2560)
ROW_EDGES: Final = (1, 2, 3, 4, 5, 6)
LATEST_S: Final = 4_102_444_800  # 2100; a clock that is off by more makes no axis longer
Unit = Literal["tokens", "characters", "messages"]


@dataclass
class _Split:
    samples: int = 0
    context: int = 0
    response: int = 0
    conversations: set[str] = field(default_factory=set[str])
    oldest: str | None = None
    latest: str | None = None

    def card(self) -> SplitCard:
        return SplitCard(
            sample_count=self.samples,
            context_tokens=self.context,
            response_tokens=self.response,
            conversation_count=len(self.conversations),
            oldest_ts=self.oldest,
            latest_ts=self.latest,
        )


@dataclass
class Tally:
    """What has been counted so far."""

    _splits: dict[Split, _Split] = field(default_factory=lambda: {split: _Split() for split in SPLITS})
    _values: dict[str, Counter[int]] = field(default_factory=dict[str, Counter[int]])
    _channels: Counter[str] = field(default_factory=Counter[str])
    _months: Counter[str] = field(default_factory=Counter[str])
    _hours: list[int] = field(default_factory=lambda: [0] * 24)
    message_count: int = 0

    def add(self, split: Split, rendered: Rendered) -> None:
        """Count one sample."""
        sample = rendered.sample
        counted = self._splits[split]
        counted.samples += 1
        counted.context += rendered.context_tokens
        counted.response += rendered.response_tokens
        counted.conversations.add(sample.conversation)
        counted.oldest = min(filter(None, (counted.oldest, sample.ts)), key=ts_key)
        counted.latest = max(filter(None, (counted.latest, sample.ts)), key=ts_key)
        self.message_count += rendered.part_count
        for name, value in (
            ("context_tokens", rendered.context_tokens),
            ("response_tokens", rendered.response_tokens),
            ("response_characters", len(sample.response)),
            ("messages_in_a_row", rendered.part_count),
        ):
            self._values.setdefault(name, Counter())[value] += 1
        self._channels[sample.channel_id] += 1
        said_at = datetime.fromtimestamp(min(int(sample.ts.partition(".")[0]), LATEST_S), UTC)
        self._months[f"{said_at:%Y-%m}"] += 1
        self._hours[said_at.hour] += 1

    def summary(self, dropped: Mapping[str, int]) -> DatasetSummary:
        """For Slack and the command line."""
        splits = [split for split in self._splits.values() if split.samples]
        return DatasetSummary(
            sample_count=sum(split.samples for split in splits),
            message_count=self.message_count,
            context_tokens=sum(split.context for split in splits),
            response_tokens=sum(split.response for split in splits),
            channel_count=len(self._channels),
            oldest_ts=min((split.oldest for split in splits if split.oldest), key=ts_key, default=None),
            latest_ts=max((split.latest for split in splits if split.latest), key=ts_key, default=None),
            dropped=dict(sorted(dropped.items())),
        )

    def card(
        self,
        content_sha256: str,
        settings: DatasetSettings,
        dropped: Mapping[str, int],
        channel_names: Mapping[str, str],
    ) -> DatasetCard:
        """The whole card."""
        return DatasetCard(
            content_sha256=content_sha256,
            summary=self.summary(dropped),
            settings=settings,
            splits={split: counted.card() for split, counted in self._splits.items()},
            context_tokens=self._histogram("context_tokens", "tokens", TOKEN_EDGES),
            response_tokens=self._histogram("response_tokens", "tokens", TOKEN_EDGES),
            response_characters=self._histogram("response_characters", "characters", CHARACTER_EDGES),
            messages_in_a_row=self._histogram("messages_in_a_row", "messages", ROW_EDGES),
            channels=tuple(
                ChannelCount(
                    channel_id=channel_id, name=channel_names.get(channel_id, ""), sample_count=count
                )
                for channel_id, count in sorted(self._channels.items(), key=lambda each: (-each[1], each[0]))
            ),
            months=_without_gaps(self._months),
            hours=tuple(self._hours),
        )

    def _histogram(self, name: str, unit: Unit, edges: Sequence[int]) -> Histogram:
        values = self._values.get(name, Counter[int]())
        counts = [0] * len(edges)
        for value, count in values.items():
            counts[max(0, bisect_right(edges, value) - 1)] += count
        return Histogram(
            unit=unit,
            edges=tuple(edges),
            counts=tuple(counts),
            median=_at(values, 0.5),
            p95=_at(values, 0.95),
            largest=max(values, default=0),
        )


def _at(values: Mapping[int, int], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    left = share * sum(values.values())
    for value in sorted(values):
        left -= values[value]
        if left <= 0:
            return float(value)
    return 0.0


def _without_gaps(months: Mapping[str, int]) -> dict[str, int]:
    """Every month from the first to the last, so that a silence shows."""
    if not months:
        return {}
    year, month = map(int, min(months).split("-"))
    filled: dict[str, int] = {}
    while (name := f"{year:04d}-{month:02d}") <= max(months):
        filled[name] = months.get(name, 0)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return filled
