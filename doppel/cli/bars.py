"""Progress bars fed by ``*.progress``."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from proto.body import Body
from proto.scrape import ScrapeProgress
from proto.train import TrainProgress

WRITE_EVERY_S: Final = 10.0


class Bar:
    """One line that grows: what is being done, how far it is, when it will be done."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label
        self._task = progress.add_task(label, total=None, detail="")
        self._written_at = time.monotonic()

    def show(self, body: Body) -> None:
        """Take in one progress message; anything else changes nothing."""
        if isinstance(body, ScrapeProgress):
            self._update(body.step, body.total, describe_scrape(body))
        elif isinstance(body, TrainProgress):
            self._update(body.step, body.total, describe_training(body))

    def tell(self, detail: str) -> None:
        """Say what is being done, where no progress is told."""
        self._progress.update(self._task, detail=detail)
        self._write(detail)

    def move(self, step: int, total: int, detail: str) -> None:
        """So much of so much is done, by our own count."""
        self._update(step, total, detail)

    def _update(self, step: int, total: int, detail: str) -> None:
        self._progress.update(self._task, completed=step, total=total or None, detail=detail)
        self._write(f"{100 * step / total:.0f} % · {detail}" if total else detail)

    def _write(self, detail: str) -> None:
        """A file or a pipe gets a line now and then instead."""
        console = self._progress.console
        if not console.is_terminal and time.monotonic() - self._written_at > WRITE_EVERY_S:
            self._written_at = time.monotonic()
            console.print(f"  {self._label}: {detail}", markup=False)


def describe_scrape(body: ScrapeProgress) -> str:
    """``reading · 3 of 5 channels · 1,200 messages``"""
    parts = [body.stage]
    if body.channel_count:
        parts.append(f"{body.channels_done} of {body.channel_count} channels")
    if body.step:
        parts.append(f"{body.step:,} messages")
    if body.requests:
        parts.append(f"{body.requests:,} requests")
    if body.slow_mode:
        parts.append("Slack gives this app one page of 15 a minute")
    return " · ".join([*parts, *_eta(body.eta_s)])


def describe_training(body: TrainProgress) -> str:
    """``training · loss 3.21 · held out 3.40 · 120 tokens/s · about 1:20 left``"""
    parts: list[str] = [body.stage]
    if body.queue_position is not None:
        parts.append(f"place {body.queue_position}")
    if body.train_loss is not None:
        parts.append(f"loss {body.train_loss:.3f}")
    if body.validation_loss is not None:
        parts.append(f"held out {body.validation_loss:.3f}")
    if body.tokens_per_s:
        parts.append(f"{body.tokens_per_s:,.0f} tokens/s")
    return " · ".join([*parts, *_eta(body.eta_s)])


def _eta(seconds: float | None) -> list[str]:
    return [] if seconds is None else [f"about {span(seconds)} left"]


def span(seconds: float) -> str:
    """``1:20`` (minutes and seconds), ``3 h 05 min``, ``4 d 14 h``: as exact as it can be honest."""
    whole = max(0, round(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    minutes = round(whole / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(whole / 3600)
    return f"{hours // 24} d {hours % 24} h"


@contextmanager
def bar(console: Console, label: str) -> Generator[Bar]:
    """A bar for the block's time."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, label)
