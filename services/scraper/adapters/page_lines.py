"""One answer of Slack as lines in the bucket, and the way back: what was said, what is gone, what was left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from proto.body import Body
from proto.conversation import Message
from services.scraper.adapters.shards import read_lines
from services.scraper.core.normalise import Deleted, Dropped, Outcome, Said, normalise
from services.scraper.core.source import TsWindow


class PageLine(Body):
    """One message; or one that is gone; or, once a page, how many were left out and why."""

    channel_id: str
    message: Message | None = Field(default=None, repr=False)
    edited_ts: str = ""
    deleted_ts: str | None = None
    dropped: dict[str, int] = Field(default={})


def lines_of(
    raws: Iterable[dict[str, Any]], channel_id: str, names: Mapping[str, str], window: TsWindow
) -> tuple[list[bytes], int]:
    """The lines, and how many messages are in them."""
    lines: list[PageLine] = []
    dropped: Counter[str] = Counter()
    said = 0
    for raw in raws:
        outcome = normalise(raw, channel_id, names)
        if isinstance(outcome, Said):
            if window.holds(outcome.message.ts):
                lines.append(
                    PageLine(channel_id=channel_id, message=outcome.message, edited_ts=outcome.edited_ts)
                )
                said += 1
            else:
                dropped["outside_window"] += 1
            continue
        if isinstance(outcome, Deleted):
            lines.append(PageLine(channel_id=channel_id, deleted_ts=outcome.ts))
        else:
            dropped[outcome.reason] += 1
    if dropped:
        lines.append(PageLine(channel_id=channel_id, dropped=dict(dropped)))
    return [line.model_dump_json(exclude_defaults=True).encode() for line in lines], said


def outcomes_of(
    pages: Iterable[Path], earlier: Iterable[Path], stays: Callable[[Message], bool]
) -> Iterator[tuple[str, Outcome]]:
    """What stays of an earlier corpus's shards, then what was read now. Raises ArtifactCorrupt."""
    for shard in earlier:
        for message in read_lines(shard, Message):
            if stays(message):
                yield message.channel_id, Said(message)
    for page in pages:
        for line in read_lines(page, PageLine):
            if line.message is not None:
                yield line.channel_id, Said(line.message, line.edited_ts)
            if line.deleted_ts is not None:
                yield line.channel_id, Deleted(line.deleted_ts)
            for reason, count in line.dropped.items():
                for _ in range(count):
                    yield line.channel_id, Dropped(reason)
