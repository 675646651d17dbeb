"""``doppel dataset show · list``: what a persona is trained on. Samples are shown nowhere else, and on demand only."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from doppel.cli import options
from doppel.cli.datasets import Dataset, list_datasets, newest_dataset, only_team
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.storage import Storage
from proto.artifacts import SPLITS, Split
from proto.conversation import Sample, split_parts
from proto.dataset import DatasetCard, DatasetSummary, Histogram, largest_reasons, say_day, say_summary

MOST_CHANNELS: Final = 20
BAR: Final = 30


@click.group()
def dataset() -> None:
    """What personas are trained on: numbers, and samples where asked for."""


@dataset.command("list")
@options.some_team
@click.option("--limit", type=click.IntRange(1, 1000), default=30, show_default=True, help="At most so many.")
@options.json_line
def list_(team_id: str | None, limit: int, *, as_json: bool) -> None:
    """The newest datasets."""

    async def work(terminal: Terminal) -> None:
        rows = await list_datasets(Target.find(), team_id, limit)
        table = Table(
            "persona", "workspace", "train", "validation", "test", "what", "cut at", title="Datasets"
        )
        for row in rows:
            row["summary"] = json.loads(row["summary"])
            summary = DatasetSummary.model_validate(row["summary"])
            table.add_row(
                Text(row["name"] or row["user_id"]),
                row["team_id"],
                *(f"{row[f'{split}_count']:,}" for split in SPLITS),
                say_summary(summary) if summary.sample_count else "",
                f"{row['created_at']:%Y-%m-%d %H:%M}",
            )
        if rows:
            terminal.show(table)
        else:
            terminal.say("There is no dataset yet. `doppel train` cuts one.")
        terminal.done(datasets=rows)

    run(work, as_json=as_json)


@dataset.command()
@click.argument("who")
@options.some_team
@click.option(
    "--sample", "sample_count", type=click.IntRange(0, 10_000), default=0, help="Show so many samples."
)
@click.option(
    "--page",
    "page_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the page with plots there.",
)
@options.json_line
def show(who: str, team_id: str | None, sample_count: int, page_path: Path | None, *, as_json: bool) -> None:
    """The card of WHO's newest dataset: samples, tokens, lengths, what was left out and why."""

    async def work(terminal: Terminal) -> None:
        target = Target.find()
        team = team_id or await only_team(target)
        person = await resolve(target, team, who)
        storage = Storage(target.storage)
        try:
            found = await newest_dataset(target, storage, team, person.user_id)
            card = await found.card()
            samples = await found.samples(sample_count) if sample_count else []
            if page_path is not None:
                await _save_page(found, page_path)
        finally:
            storage.close()
        if card is None:
            terminal.say("This dataset was cut before there were cards; `doppel train` cuts a new one.")
        else:
            for part in describe(card, found.manifest.person.name):
                terminal.show(part)
        for number, (split, sample) in enumerate(samples, start=1):
            terminal.show(panel(number, split, sample))
        if page_path is not None:
            terminal.say(f"The page is in {page_path}.")
        terminal.done(
            dataset_id=found.manifest.dataset_id,
            user_id=person.user_id,
            card=None if card is None else card.model_dump(mode="json"),
            samples=[{"split": split, **sample.model_dump(mode="json")} for split, sample in samples],
        )

    run(work, as_json=as_json)


async def _save_page(found: Dataset, path: Path) -> None:
    page = await found.page()
    if page is None:
        raise Failure("This dataset was cut before there were pages; `doppel train` cuts a new one.")
    await asyncio.to_thread(path.write_bytes, page)


def describe(card: DatasetCard, name: str) -> Iterable[Any]:
    """The card as tables."""
    yield Text(f"{name}: {say_summary(card.summary)}")
    splits = Table("split", "samples", "conversations", "tokens learnt", "context tokens", "from", "to")
    for split in SPLITS:
        if (counted := card.splits.get(split)) is not None:
            numbers = (
                counted.sample_count,
                counted.conversation_count,
                counted.response_tokens,
                counted.context_tokens,
            )
            days = (say_day(counted.oldest_ts), say_day(counted.latest_ts))
            splits.add_row(split, *(f"{number:,}" for number in numbers), *days)
    yield splits
    yield _bars("left out", largest_reasons(card.summary.dropped))
    yield _lengths("length of an answer", card.response_tokens)
    yield _lengths("length of what it answers", card.context_tokens)
    yield _lengths("messages in a row", card.messages_in_a_row)
    yield _bars("month", list(card.months.items()))
    yield _bars("hour (UTC)", [(f"{hour:02d}", count) for hour, count in enumerate(card.hours)])
    channels = [(channel.name or channel.channel_id, channel.sample_count) for channel in card.channels]
    yield _bars(f"channel (of {len(channels)})", channels[:MOST_CHANNELS])
    settings = ", ".join(f"{field} {value}" for field, value in card.settings.model_dump().items())
    yield Text(f"{settings}\ncontent {card.content_sha256}", style="dim")


def _lengths(title: str, histogram: Histogram) -> Table:
    rows = [
        (f"{edge}+", count) for edge, count in zip(histogram.edges, histogram.counts, strict=True) if count
    ]
    return _bars(f"{title} ({histogram.unit}; median {histogram.median:.0f})", rows)


def _bars(title: str, rows: Sequence[tuple[str, int]]) -> Table:
    table = Table(title, "count", "", box=None, title_justify="left")
    most = max((count for _, count in rows), default=0) or 1
    for label, count in rows:
        table.add_row(Text(label), f"{count:,}", "█" * round(BAR * count / most))
    return table


def panel(number: int, split: Split, sample: Sample) -> Panel:
    """One sample: what was said, and what the person answered, each message of a row by itself."""
    lines = [
        Text(turn.content, style="dim" if turn.role == "user" else "dim italic") for turn in sample.turns
    ]
    answer = [Text(f"→ {part}", style="bold") for part in split_parts(sample.response)]
    return Panel(
        Group(*lines, *answer),
        title=f"{number} · {split} · {say_day(sample.ts)}",
        title_align="left",
        width=100,
    )


COMMANDS: Final[tuple[click.Command, ...]] = (dataset,)
