"""``doppel report @ada``: how good a voice is, in numbers and a sentence; the page with the plot on request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from doppel.cli import options
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.cli.versions import Version, fetch_version, fetch_versions, the_team
from doppel.storage import Storage
from proto.artifacts import REPORT_FILE, REPORT_PAGE_FILE, REPORT_PLOT_FILE, ReportManifest, manifest_key
from proto.report import Measures, VoiceReport


@click.command()
@click.argument("who")
@options.some_team
@click.option("--run", "run_id", metavar="RUN", help="Of this run; without it, of their newest.")
@click.option(
    "--save",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the page, the plot and the JSON into this folder.",
)
@options.json_line
def report(who: str, team_id: str | None, run_id: str | None, folder: Path | None, *, as_json: bool) -> None:
    """Show the voice report of a person's newest training."""

    async def work(terminal: Terminal) -> None:
        target = Target.find()
        team = await the_team(target, team_id)
        version = await _version(target, team, who, run_id)
        assert version.report_prefix is not None
        storage = Storage(target.storage)
        try:
            manifest = await storage.get_model(
                ReportManifest, manifest_key(version.report_prefix), sha256=version.report_manifest_sha256
            )
            data = await storage.get_bytes(
                f"{version.report_prefix}/{REPORT_FILE}", sha256=manifest.file(REPORT_FILE).sha256
            )
            saved: list[Path] = []
            for name in (REPORT_PAGE_FILE, REPORT_PLOT_FILE, REPORT_FILE) if folder else ():
                assert folder is not None
                saved.append(folder / name)
                key = f"{version.report_prefix}/{name}"
                await storage.fetch_verified(key, manifest.file(name).sha256, saved[-1])
        finally:
            storage.close()
        found = VoiceReport.model_validate_json(data)
        terminal.say(f"{version.name}, run {version.run_id}: {version.standing}")
        terminal.say(found.sentence)
        table = Table("measure", "value")
        for name, value in rows_of(found.measures):
            table.add_row(name, value)
        terminal.show(table)
        for path in saved:
            terminal.say(f"written: {path}")
        if not saved:
            terminal.aside("--save FOLDER writes the page with the loss plot.")
        terminal.done(report=found.model_dump(mode="json"), saved=[str(path) for path in saved])

    run(work, as_json=as_json)


async def _version(target: Target, team_id: str, who: str, run_id: str | None) -> Version:
    """The named run, or the person's newest that has a report. Raises Failure."""
    person = await resolve(target, team_id, who)
    if run_id is not None:
        versions = [await fetch_version(target, team_id, run_id)]
    else:
        versions = await fetch_versions(target, team_id, person.user_id)
    for version in versions:
        if version.report_prefix is not None and version.user_id == person.user_id:
            return version
    raise Failure(
        f"There is no voice report of {person.user_id} yet. `doppel train` ends with one.",
        code="report_missing",
    )


def rows_of(measures: Measures) -> Iterator[tuple[str, str]]:
    """The numbers, each with what it counts."""
    base, adapter = measures.base_test_loss, measures.test_loss
    yield "held-out loss, plain model", f"{base:.3f} nats a token ({measures.test_samples} samples)"
    yield "held-out loss, this voice", f"{adapter:.3f} ({1 - adapter / base:.0%} better)" if base else "none"
    if style := measures.style:
        yield "style distance to the person", f"{style.to_own:.2f}"
        if style.to_others is not None:
            yield "style distance to other people", f"{style.to_others:.2f}"
        if style.base_to_own is not None:
            yield "the plain model's to the person", f"{style.base_to_own:.2f}"
    if found := measures.authorship:
        base_share = "" if found.base is None else f", plain model {found.base:.0%}"
        yield (
            "taken for the person's",
            f"{found.generated:.0%} (real messages {found.real:.0%}, others' {found.others:.0%}{base_share})",
        )
    if repetition := measures.repetition:
        yield (
            "repeats itself",
            f"{repetition.within:.0%} (the person {repetition.own_within:.0%}), looping {repetition.looping:.0%}, "
            f"identical {repetition.identical:.0%}",
        )
    if recited := measures.memorisation:
        yield (
            "longest verbatim run",
            f"{recited.overlap_words} words in answers, {recited.extracted_words} when provoked "
            f"({recited.probed} training samples)",
        )
        yield "canaries that came out", f"{recited.canaries_out} of {recited.canaries}"


COMMANDS: Final[tuple[click.Command, ...]] = (report,)
