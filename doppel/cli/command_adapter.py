"""``doppel adapter``: the versions of a voice. The command reads; gateway and trainer, who own the tables, write."""

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from doppel.basemodel.fetch import BaseModelCache
from doppel.cli import options, work
from doppel.cli.people import resolve
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.cli.versions import Version, facts_of, fetch_version, fetch_versions, the_team
from doppel.storage import ObjectMissing, Storage
from proto import subjects
from proto.adapter import AdapterRequest, AdapterResult
from proto.artifacts import AdapterManifest, manifest_key
from proto.persona import PersonaRequest

SHORT: Final = 8


@click.group()
def adapter() -> None:
    """Versions of a persona's voice."""


@adapter.command("list")
@options.some_team
@options.user
@click.option("--all", "show_all", is_flag=True, help="Rejected, failed and collected ones too.")
@options.json_line
def list_(team_id: str | None, who: str | None, *, show_all: bool, as_json: bool) -> None:
    """List versions, the newest of each person first."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        team = await the_team(target, team_id)
        user_id = (await resolve(target, team, who)).user_id if who else None
        versions = [
            version
            for version in await fetch_versions(target, team, user_id)
            if show_all or version.is_usable or version.active
        ]
        table = Table("person", "version", "state", "trained", "held-out loss", "samples", "base model")
        for version in versions:
            table.add_row(
                version.name,
                str(version.run_id)[:SHORT],
                version.standing,
                f"{version.requested_at:%Y-%m-%d %H:%M}",
                losses(version),
                str(version.sample_count or ""),
                version.base_model,
            )
        terminal.show(table if versions else "There is no version yet. Start with `doppel train`.")
        terminal.done(versions=[facts_of(version) for version in versions])

    run(work_, as_json=as_json)


@adapter.command()
@click.argument("version")
@options.some_team
@options.json_line
def show(version: str, team_id: str | None, *, as_json: bool) -> None:
    """Show one version with its lineage: dataset, base model, settings, code, measures."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        found = await fetch_version(target, await the_team(target, team_id), version)
        manifest = await _manifest(target, found) if found.is_usable else None
        facts = facts_of(found)
        if manifest is not None:
            facts["config"] = manifest.config
            facts["files"] = {entry.name: entry.sha256 for entry in manifest.files}
            facts["report"] = manifest.report.sentence if manifest.report else None
        for name, value in facts.items():
            if value is not None and value != "":
                terminal.say(f"{name:>22}  {value}")
        terminal.done(version=facts)

    run(work_, as_json=as_json)


@adapter.command()
@click.argument("version")
@options.some_team
@options.waits
@options.json_line
def activate(version: str, team_id: str | None, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Let this version answer from now on. A training that starts later still takes over."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        found = await fetch_version(target, await the_team(target, team_id), version)
        request = PersonaRequest(
            request_id=work.new_request_id(),
            team_id=found.team_id,
            user_id=found.user_id,
            action="activate",
            run_id=found.run_id,
            requested_at=datetime.now(UTC),
        )
        await _choose(terminal, target, request, found.name, wait=wait, timeout_s=timeout_s)

    run(work_, as_json=as_json)


@adapter.command()
@options.some_team
@options.someone
@options.waits
@options.json_line
def rollback(team_id: str | None, who: str, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Go back to the version before the active one."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        team = await the_team(target, team_id)
        person = await resolve(target, team, who)
        request = PersonaRequest(
            request_id=work.new_request_id(),
            team_id=team,
            user_id=person.user_id,
            action="rollback",
            requested_at=datetime.now(UTC),
        )
        await _choose(terminal, target, request, person.name, wait=wait, timeout_s=timeout_s)

    run(work_, as_json=as_json)


async def _choose(
    terminal: Terminal, target: Target, request: PersonaRequest, name: str, *, wait: bool, timeout_s: float
) -> None:
    """Ask the gateway, which owns the table of active adapters."""
    result = await work.ask_persona(target.bus, request, wait=wait, timeout_s=timeout_s)
    if result is None:
        return terminal.done(request_id=request.request_id)
    terminal.say(f"{name} answers with version {str(result.run_id)[:SHORT]} from now on.")
    return terminal.done(request_id=request.request_id, run_id=result.run_id, user_id=result.user_id)


@adapter.command()
@options.some_team
@options.user
@click.option("--keep", type=click.IntRange(1, 1000), help="Newest versions of each person that stay.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@options.waits
@options.json_line
def gc(
    team_id: str | None,
    who: str | None,
    keep: int | None,
    *,
    dry_run: bool,
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Delete versions beyond the newest few, and what ended runs left behind. Never the active one."""

    async def work_(terminal: Terminal) -> None:
        target = Target.find()
        team = await the_team(target, team_id)
        request = AdapterRequest(
            request_id=work.new_request_id(),
            team_id=team,
            user_id=(await resolve(target, team, who)).user_id if who else None,
            keep=keep,
            dry_run=dry_run,
            requested_at=datetime.now(UTC),
        )
        result = await work.ask(
            target.bus,
            "adapter",
            subjects.ADAPTER_REQUEST,
            request,
            AdapterResult,
            wait=wait,
            timeout_s=timeout_s,
        )
        if result is None:
            return terminal.done(request_id=request.request_id)
        verb = "would go" if dry_run else "are gone"
        terminal.say(f"{len(result.run_ids)} versions {verb}, {result.object_count} objects deleted.")
        return terminal.done(result=result.model_dump(mode="json"))

    run(work_, as_json=as_json)


@adapter.command()
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
@options.some_team
@click.option("--merged", is_flag=True, help="Base model and adapter as one ordinary model.")
@options.json_line
def export(version: str, folder: Path, team_id: str | None, *, merged: bool, as_json: bool) -> None:
    """Write a version into a new folder: the PEFT adapter, or with --merged a whole model."""

    async def work_(terminal: Terminal) -> None:
        if await asyncio.to_thread(folder.exists):
            raise Failure(f"{folder} is there already. Name a folder that is not.", code="usage")
        target = Target.find()
        found = await fetch_version(target, await the_team(target, team_id), version)
        manifest = await _manifest(target, found)
        storage = Storage(target.storage)
        try:
            if merged:
                await _export_merged(storage, found, manifest, folder)
            else:
                await _fetch_adapter(storage, found, manifest, folder)
        finally:
            storage.close()
        what = "Merged model" if merged else "Adapter"
        terminal.say(f"{what} of {found.name}, version {str(found.run_id)[:SHORT]}: {folder}")
        terminal.done(folder=str(folder), merged=merged, run_id=found.run_id, base_model=manifest.base_model)

    run(work_, as_json=as_json)


async def _manifest(target: Target, version: Version) -> AdapterManifest:
    """What lies in the bucket of this version. Raises Failure, ArtifactCorrupt."""
    if not version.is_usable or version.adapter_prefix is None:
        raise Failure(f"Version {version.run_id} has no weights: {version.standing}.", code="version_missing")
    storage = Storage(target.storage)
    try:
        return await storage.get_model(
            AdapterManifest, manifest_key(version.adapter_prefix), sha256=version.manifest_sha256
        )
    except ObjectMissing:
        raise Failure(
            f"The files of version {version.run_id} are gone. Train again.", code="version_missing"
        ) from None
    finally:
        storage.close()


async def _fetch_adapter(storage: Storage, version: Version, manifest: AdapterManifest, folder: Path) -> None:
    for entry in manifest.files:
        await storage.fetch_verified(
            f"{version.adapter_prefix}/{entry.name}", entry.sha256, folder / entry.name
        )


async def _export_merged(storage: Storage, version: Version, manifest: AdapterManifest, folder: Path) -> None:
    from doppel.basemodel.merge import merge

    def scratch() -> "tempfile.TemporaryDirectory[str]":
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".doppel-export-", dir=folder.absolute().parent)

    temporary = await asyncio.to_thread(scratch)
    try:
        near = Path(temporary.name)
        await _fetch_adapter(storage, version, manifest, near / "adapter")
        base = await BaseModelCache(storage, near / "models").fetch(manifest.base_model)
        if base.manifest.content_sha256 != manifest.base_model_sha256:
            raise Failure(
                f"The base model {manifest.base_model} in the bucket is not the one that this version was trained "
                "on. Prepare that one again, or train again.",
                code="retrain_needed",
            )
        await asyncio.to_thread(merge, base.folder, near / "adapter", folder)
    finally:
        await asyncio.to_thread(temporary.cleanup)


def losses(version: Version) -> str:
    """``4.10 → 3.52``"""
    if version.base_test_loss is None or version.test_loss is None:
        return ""
    return f"{version.base_test_loss:.2f} → {version.test_loss:.2f}"


COMMANDS: Final[tuple[click.Command, ...]] = (adapter,)
