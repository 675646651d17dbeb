"""The dataset card as one HTML file that needs nothing else: numbers and plots, nobody's words."""

from collections.abc import Iterable
from html import escape
from typing import Final

from proto.dataset import DatasetCard, largest_reasons, say_day
from services.scraper.adapters.card_plots import draw_all

MOST_CHANNELS: Final = 200
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Dataset of {name}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #2e3440; background: #fff; max-width: 1100px;
  margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; margin-bottom: .2rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 1rem 2rem; }}
figure {{ margin: 0; }} figcaption {{ font-weight: 600; }} svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ text-align: left; padding: .2rem 1.2rem .2rem 0; vertical-align: top; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }} code {{ font-size: .85em; overflow-wrap: anywhere; }}
.quiet {{ color: #6b7280; }}
</style>
<h1>Dataset of {name}</h1>
<p class="quiet">{range}. Numbers only: what was written is not in this page.</p>
{summary}
<div class="plots">
{plots}
</div>
<h2>Left out</h2>
{drops}
<h2>Channels</h2>
{channels}
<h2>Settings</h2>
{settings}
<p class="quiet">The same corpus and settings give this same content: <code>{content}</code></p>
</html>
"""


def render_page(card: DatasetCard, name: str) -> str:
    """The page. Every name is escaped: people and channels choose theirs."""
    summary = card.summary
    return _PAGE.format(
        name=escape(name),
        range=f"{say_day(summary.oldest_ts)} to {say_day(summary.latest_ts)}",
        summary=_table(
            {
                "samples": f"{summary.sample_count:,}",
                "messages in them": f"{summary.message_count:,}",
                "tokens learnt from": f"{summary.response_tokens:,}",
                "tokens of context": f"{summary.context_tokens:,}",
                "channels": f"{summary.channel_count:,}",
                "messages left out": f"{summary.dropped_count:,}",
            }.items()
        ),
        plots="\n".join(
            f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"
            for title, svg in draw_all(card).items()
        ),
        drops=_table((reason, f"{count:,}") for reason, count in largest_reasons(summary.dropped)),
        channels=_table(
            (f"{place}. {channel.name or channel.channel_id}", f"{channel.sample_count:,}")
            for place, channel in enumerate(card.channels[:MOST_CHANNELS], start=1)
        ),
        settings=_table(
            (field.replace("_", " "), _said(value)) for field, value in card.settings.model_dump().items()
        ),
        content=card.content_sha256,
    )


def _said(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f'<tr><td>{escape(a)}</td><td class="n">{escape(b)}</td></tr>' for a, b in rows)
    return f"<table>{lines}</table>" if lines else "<p>Nothing.</p>"
