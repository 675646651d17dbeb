"""The voice report as one page that opens anywhere: the plot lies in it, and nothing is loaded."""

import base64
from collections.abc import Iterable
from html import escape
from typing import Final

from proto.report import Measures, VoiceReport

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1d1c1d }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.verdict { padding: .75rem 1rem; border-left: 4px solid; background: #f6f6f6 }
.published { border-color: #2e7d32 } .rejected { border-color: #b0413e }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top }
tr:nth-child(even) { background: #f8f8f8 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% } .what { color: #616061; font-size: .9rem } td { white-space: pre-wrap; overflow-wrap: anywhere }
"""


def render_page(report: VoiceReport, plot_png: bytes) -> str:
    """HTML. Whatever people or models wrote is escaped."""
    measures = report.measures
    plot = base64.b64encode(plot_png).decode()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Voice report {report.run_id}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>{_STYLE}</style></head><body>
<h1>Voice report</h1>
<p class="what">Persona {escape(report.user_id)} in {escape(report.team_id)}, run {report.run_id}, \
{report.created_at:%Y-%m-%d %H:%M} UTC, base model {escape(report.base_model)}, code {escape(report.code_version)}</p>
<p class="verdict {report.state}"><b>{report.state.capitalize()}.</b> {escape(report.sentence)}</p>
<h2>How well it foresees what the person writes</h2>
<p class="what">Nats per word piece, lower is better. The dashed lines are messages that it never saw.</p>
<img alt="Losses by step" src="data:image/png;base64,{plot}">
{_table(("measure", "value", "what it means"), _numbers(measures))}
{_styles(measures)}
{_examples(measures)}
</body></html>
"""


def _numbers(measures: Measures) -> Iterable[tuple[str, str, str]]:
    """Every number with what it means, in words for people who train nothing."""
    gain = 1 - measures.test_loss / measures.base_test_loss if measures.base_test_loss else 0.0
    yield "plain model", f"{measures.base_test_loss:.3f}", f"held-out loss on {measures.test_samples} samples"
    yield "this voice", f"{measures.test_loss:.3f}", f"the same: {gain:.0%} better"
    if style := measures.style:
        yield (
            "style, to the person",
            f"{style.to_own:.2f}",
            "0: the same hand, about 1: a stranger's (Burrows's Delta)",
        )
        if style.to_others is not None:
            yield "style, to others", f"{style.to_others:.2f}", "should be the larger of the two"
        if style.base_to_own is not None:
            yield (
                "style, plain model to the person",
                f"{style.base_to_own:.2f}",
                "should be larger than this voice's",
            )
    if found := measures.authorship:
        yield (
            "taken for the person",
            f"{found.generated:.0%}",
            f"of generated messages, by a classifier that learnt from {found.trained_on} real ones",
        )
        yield "real messages recognised", f"{found.real:.0%}", "what the classifier can do at best"
        yield "others' taken for the person's", f"{found.others:.0%}", "what it gets wrong"
        if found.base is not None:
            yield "plain model taken for the person", f"{found.base:.0%}", "the same without training"
    if repetition := measures.repetition:
        yield "repeats itself", f"{repetition.within:.0%}", f"the person does in {repetition.own_within:.0%}"
        yield "identical answers", f"{repetition.identical:.0%}", f"of {measures.answers}"
        yield "answers that loop", f"{repetition.looping:.0%}", "end by saying the same again and again"
    if recited := measures.memorisation:
        yield (
            "longest repeat, answers",
            f"{recited.overlap_words} words",
            "outside quotes, links and pet phrases",
        )
        yield (
            "longest repeat, provoked",
            f"{recited.extracted_words} words",
            f"in {recited.probed} training samples",
        )
        yield (
            "secrets given away",
            f"{recited.canaries_out} of {recited.canaries}",
            "strings that nobody could guess",
        )


def _styles(measures: Measures) -> str:
    if measures.style is None or not measures.style.features:
        return ""
    rows = (
        (
            feature.name,
            f"{feature.own:.2f}",
            f"{feature.generated:.2f}",
            "" if feature.others is None else f"{feature.others:.2f}",
        )
        for feature in measures.style.features
    )
    head = ("habit", "the person", "this voice", "other people")
    note = "Words and marks in a hundred words; messages as a share of one."
    return f'<h2>Habits</h2><p class="what">{note}</p>{_table(head, rows)}'


def _examples(measures: Measures) -> str:
    if not measures.examples:
        return ""
    rows = ((shown.real, shown.generated, shown.base or "") for shown in measures.examples)
    head = ("what they really wrote", "this voice, in the same place", "the plain model")
    return f"<h2>Examples</h2>{_table(head, rows)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
