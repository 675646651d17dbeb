"""``doppel import``: a history from this machine into the bucket, and from there into a corpus."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from doppel.cli import options, work
from doppel.cli.bars import bar
from doppel.cli.facts import open_bus
from doppel.cli.history_file import KINDS, check_history
from doppel.cli.target import Target
from doppel.cli.terminal import Failure, Terminal, run
from doppel.storage import Storage
from doppel.transient import is_transient
from doppel.uploads import FileChanged, Uploads
from proto import artifacts

CHUNK_BYTES: Final = 4 * 1024 * 1024


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.team
@options.waits
@options.json_line
def import_(file: Path, team_id: str, *, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Upload a history and read it into a corpus: a Slack export (.zip), or text (.jsonl, .csv).

    An upload that was interrupted goes on where it stopped when the same command is run again.
    """
    if file.suffix.lower() not in KINDS:
        raise click.BadParameter(f"{file.name} is none of {', '.join(KINDS)}")

    async def work_(terminal: Terminal) -> None:
        kind = await asyncio.to_thread(check_history, file)
        target = Target.find()
        async with open_bus(target.bus) as bus:
            key = await _upload(terminal, target, team_id, file)
            request = work.scrape_request(team_id, f"{kind}:{key}")
            if not wait:
                await work.publish_scrape(bus, request)
                return terminal.done(request_id=request.request_id, key=key)
            result = await work.scrape(terminal, bus, request, f"import of {file.name}", timeout_s=timeout_s)
        work.tell_corpus(terminal, result)
        return terminal.done(result=result.model_dump(mode="json"))

    run(work_, as_json=as_json)


async def _upload(terminal: Terminal, target: Target, team_id: str, file: Path) -> str:
    """Into the bucket, under the hash of its content. Raises Failure."""
    size_bytes, sent = (await asyncio.to_thread(file.stat)).st_size, 0
    storage = Storage(target.storage)
    try:
        with bar(terminal.people, f"upload of {file.name}") as line:

            def show(done: int) -> None:
                nonlocal sent
                sent = done
                line.move(done, size_bytes, "uploading")

            sha256 = await asyncio.to_thread(
                _hash, file, lambda done: line.move(done, size_bytes, "looking at it")
            )
            key = artifacts.export_key(team_id, sha256, file.suffix.lower().removeprefix("."))
            await Uploads(storage).put(key, file, show=show)
    except FileChanged as error:
        raise Failure(
            f"{file.name} changed while it was read. Run the command again.", code="file_changed"
        ) from error
    except Exception as error:
        if not is_transient(error):
            raise
        raise Failure(
            f"The bucket can't be reached; {100 * sent / max(size_bytes, 1):.0f} % of {file.name} is there. "
            "Run the same command again: it goes on from there.",
            code="unavailable",
        ) from error
    finally:
        storage.close()
    return key


def _hash(file: Path, show: Callable[[int], None]) -> str:
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            show(done)
    return digest.hexdigest()


COMMANDS: Final[tuple[click.Command, ...]] = (import_,)
