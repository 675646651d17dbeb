"""`doppel import`, the real command, against real servers and a real scraper."""

import asyncio
import json
import os
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

from doppel.local.settings import inherited
from doppel.uploads import PART_BYTES, Uploads
from tests.integration.scraper.desk import TEAM, Desk
from tests.integration.scraper.histories import write_csv
from tests.support.desk import Process
from tests.support.servers import killed_and_back
from tests.support.waiting import eventually

IMPORT_S = 120


async def begin_import(desk: Desk, path: Path, *more: str) -> Process:
    """The command, begun."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "doppel", "import", str(path), "--team", TEAM, "--json", *more),
        env=inherited() | desk.servers.environment("reader") | {"DOPPEL_HOME": str(desk.folder / "none")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_import(desk: Desk, path: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """(exit code, the JSON line, stderr)"""
    child = await begin_import(desk, path, *more)
    async with asyncio.timeout(IMPORT_S):
        out, err = await child.communicate()
    return child.returncode or 0, json.loads(out.decode().splitlines()[-1]), err.decode()


def add_ballast(path: Path, size_bytes: int) -> None:
    """Make an export heavy without making it long."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("__uploads/film.bin", os.urandom(size_bytes))


async def test_an_export_becomes_a_corpus_and_again_no_new_one(desk: Desk, export_zip: Path) -> None:
    await desk.serve()

    code, first, _ = await run_import(desk, export_zip)
    again, second, _ = await run_import(desk, export_zip)

    assert (code, again) == (0, 0)
    assert first["result"]["message_count"] > 1_000
    assert second["result"]["corpus_id"] == first["result"]["corpus_id"]
    assert await desk.corpora() == 1
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/exports/") == []


async def test_a_text_file_becomes_a_corpus(desk: Desk, tmp_path: Path) -> None:
    from playground.synthetic import make_workspace

    await desk.serve()
    workspace = make_workspace(7, now=1_780_000_000, message_count=300)
    write_csv(workspace, tmp_path / "History.CSV")

    code, found, _ = await run_import(desk, tmp_path / "History.CSV")

    assert code == 0
    assert found["result"]["source"].startswith("text:")
    assert found["result"]["message_count"] > 250


async def test_a_killed_upload_goes_on_and_nothing_of_it_is_left(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    await asyncio.to_thread(add_ballast, export_zip, 24 * PART_BYTES)
    uploads = Uploads(desk.storage)
    child = await begin_import(desk, export_zip)

    async def some_parts() -> int:
        begun = await uploads.unfinished(f"workspaces/{TEAM}/exports/")
        return len(await uploads.parts(begun[0].key, begun[0].upload_id)) if begun else 0

    await eventually(some_parts, what="some parts are there")
    child.send_signal(signal.SIGKILL)
    await child.wait()
    sent = await some_parts()
    assert 0 < sent <= 24
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/exports/") == []

    code, found, _ = await run_import(desk, export_zip)

    assert code == 0
    assert found["result"]["message_count"] > 1_000
    assert await uploads.unfinished(f"workspaces/{TEAM}/exports/") == []
    assert await desk.storage.list_keys(f"workspaces/{TEAM}/exports/") == []


async def test_an_upload_outlives_a_restart_of_the_bucket(desk: Desk, export_zip: Path) -> None:
    await desk.serve()
    await asyncio.to_thread(add_ballast, export_zip, 24 * PART_BYTES)
    uploads = Uploads(desk.storage)
    child = await begin_import(desk, export_zip)
    await eventually(lambda: uploads.unfinished(f"workspaces/{TEAM}/exports/"), what="the upload began")

    await killed_and_back(desk.servers.running.supervisor, "s3", within_s=60)

    async with asyncio.timeout(IMPORT_S):
        out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    found = json.loads(out.decode().splitlines()[-1])
    assert found["result"]["message_count"] > 1_000
    assert await uploads.unfinished(f"workspaces/{TEAM}/exports/") == []


async def test_a_wrong_file_never_travels(desk: Desk, tmp_path: Path) -> None:
    for name, data, sentence in (
        ("a.zip", b"no zip at all", "no complete ZIP"),
        ("a.jsonl", b'["zebra"]\n', "line 1 is no JSON object"),
        ("b.jsonl", b'{"text": "zebra"}\n', "line 1 lacks `time`"),
        ("a.csv", b"author,text\nada,zebra\n", "line 1 lacks `time`"),
        ("b.csv", b"\xff\xfe\x00\xd8\x00\x00", "no UTF-8 text"),
    ):
        (tmp_path / name).write_bytes(data)
        code, found, err = await run_import(desk, tmp_path / name)
        assert code == 1, name
        assert found["error"]["code"] in ("export_invalid", "text_invalid")
        assert sentence in err, name
        assert "zebra" not in err
    assert await desk.storage.list_keys("workspaces/") == []
