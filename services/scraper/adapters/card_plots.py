"""The dataset card's plots, drawn by matplotlib without a display: SVG, the same bytes for the same numbers.

No text that a person chose goes through matplotlib: channel names stand in the page's table, not in a plot.
"""

import io
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from proto.artifacts import Split
from proto.dataset import REASONS, DatasetCard, Histogram

INK: Final = "#3b4252"
COLOURS: Final[dict[Split, str]] = {"train": "#5e81ac", "validation": "#ebcb8b", "test": "#bf616a"}
ONE: Final = "#5e81ac"
MOST_BARS: Final = 15
MOST_LABELS: Final = 12
_ALONE: Final = threading.Lock()  # matplotlib's settings are the process's

Draw = Callable[[Any, DatasetCard], None]


def draw_all(card: DatasetCard) -> dict[str, str]:
    """Title → SVG."""
    import matplotlib  # half a second and its fonts: only where a dataset is cut

    matplotlib.use("agg")
    settings: Any = {
        "svg.hashsalt": "doppel",  # ids within the file are hashes of this, not random
        "svg.fonttype": "none",  # the reader's own font: small, and the same bytes everywhere
        "font.size": 9,
        "text.parse_math": False,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with _ALONE, matplotlib.rc_context(settings):
        return {title: _draw(draw, card) for title, draw in PLOTS.items()}


def _draw(draw: Draw, card: DatasetCard) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.6), layout="constrained")
    FigureCanvasSVG(figure)
    draw(figure.add_subplot(), card)
    out = io.StringIO()
    figure.savefig(
        out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    return out.getvalue()[out.getvalue().index("<svg") :]


def _samples(axes: Any, card: DatasetCard) -> None:
    names = list(COLOURS)
    counts = [card.splits[name].sample_count if name in card.splits else 0 for name in COLOURS]
    bars = axes.bar(names, counts, color=list(COLOURS.values()))
    axes.bar_label(bars, labels=[f"{count:,}" for count in counts])
    axes.set_ylabel("samples")


def _tokens(axes: Any, card: DatasetCard) -> None:
    names = list(COLOURS)
    splits = [card.splits.get(name) for name in COLOURS]
    context = [split.context_tokens if split else 0 for split in splits]
    response = [split.response_tokens if split else 0 for split in splits]
    axes.bar(names, response, color=ONE, label="learnt from")
    axes.bar(names, context, bottom=response, color="#d8dee9", label="context")
    axes.set_ylabel("tokens")
    axes.legend(frameon=False)


def _lengths(of: Callable[[DatasetCard], Histogram]) -> Draw:
    def draw(axes: Any, card: DatasetCard) -> None:
        histogram = of(card)
        edges = histogram.edges
        labels = [str(low) if high == low + 1 else f"{low}–{high - 1}" for low, high in pairwise(edges)]
        labels.append(f"{edges[-1]}+")
        _bars(axes, labels, histogram.counts)
        axes.set_xlabel(f"{histogram.unit}; median {histogram.median:.0f}, 95 % up to {histogram.p95:.0f}")
        axes.set_ylabel("samples")

    return draw


def _drops(axes: Any, card: DatasetCard) -> None:
    dropped = sorted(card.summary.dropped.items(), key=lambda each: (each[1], each[0]))[-MOST_BARS:]
    dropped = [each for each in dropped if each[1]]
    bars = axes.barh(
        [REASONS.get(reason, reason) for reason, _ in dropped], [n for _, n in dropped], color="#bf616a"
    )
    axes.bar_label(bars, labels=[f" {count:,}" for _, count in dropped])
    axes.set_xlabel("messages left out")


def _months(axes: Any, card: DatasetCard) -> None:
    _bars(axes, list(card.months), list(card.months.values()))
    axes.set_ylabel("samples")


def _splits_in_time(axes: Any, card: DatasetCard) -> None:
    spans = {
        name: (float(split.oldest_ts) / 86_400, float(split.latest_ts) / 86_400)
        for name, split in card.splits.items()
        if split.oldest_ts and split.latest_ts
    }
    days = [day for span in spans.values() for day in span]
    least = max(0.02, (max(days) - min(days)) / 150) if days else 0.0  # a single day is to be seen, too
    for row, (name, colour) in enumerate(COLOURS.items()):
        if name in spans:
            axes.barh(row, max(spans[name][1] - spans[name][0], least), left=spans[name][0], color=colour)
    axes.set_yticks(range(len(COLOURS)), list(COLOURS))
    axes.locator_params(axis="x", nbins=3)
    ticks = list(axes.get_xticks())
    axes.set_xticks(ticks, [_day(tick) for tick in ticks])


def _day(days: float) -> str:
    seconds = min(max(0.0, days * 86_400), 4_102_444_800.0)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _channels(axes: Any, card: DatasetCard) -> None:
    counts = [channel.sample_count for channel in card.channels]
    shown, rest = counts[:MOST_BARS], sum(counts[MOST_BARS:])
    labels = [f"{place}." for place in range(1, len(shown) + 1)]
    _bars(axes, [*labels, "rest"] if rest else labels, [*shown, rest] if rest else shown)
    axes.set_xlabel("channel, as numbered in the table below")
    axes.set_ylabel("samples")


def _hours(axes: Any, card: DatasetCard) -> None:
    axes.bar(range(24), card.hours, color=ONE)
    axes.set_xticks(range(0, 24, 3))
    axes.set_xlabel("hour of the day, UTC")
    axes.set_ylabel("samples")


def _bars(axes: Any, labels: Sequence[str], counts: Sequence[int]) -> None:
    axes.bar(range(len(counts)), counts, color=ONE)
    step = -(-len(labels) // MOST_LABELS) or 1
    places = range(0, len(labels), step)
    axes.set_xticks(list(places), [labels[i] for i in places], rotation=30 if len(labels) > 6 else 0)


PLOTS: Final[dict[str, Draw]] = {
    "Samples": _samples,
    "Tokens": _tokens,
    "Length of an answer": _lengths(lambda card: card.response_tokens),
    "Length of what it answers": _lengths(lambda card: card.context_tokens),
    "Messages in a row": _lengths(lambda card: card.messages_in_a_row),
    "Left out, by reason": _drops,
    "Samples by month": _months,
    "From when to when": _splits_in_time,
    "Channels": _channels,
    "By hour": _hours,
}
