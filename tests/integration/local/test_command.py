"""The command against real servers, found by the environment."""

import asyncio
import json
import sys
import zipfile
from typing import Any

import pytest

from doppel.bus.broker import jetstream_of, open_client
from doppel.local.settings import inherited
from tests.support.servers import TestServers


async def doppel(servers: TestServers, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """(exit code, the last line as JSON, stderr)"""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "doppel",
        *arguments,
        env=inherited() | servers.environment("reader"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await child.communicate()
    lines = out.decode().splitlines()
    return child.returncode or 0, json.loads(lines[-1]) if lines else {}, err.decode()


async def stored(servers: TestServers, stream: str) -> dict[str, Any]:
    client = await open_client(servers.bus)
    try:
        message = await jetstream_of(client).get_msg(
            stream, seq=None, subject=f"{stream.lower().replace('_', '.')}"
        )
    finally:
        await client.close()
    return json.loads(message.data or b"{}")


async def test_status_tells_every_durable(clean: TestServers) -> None:
    code, found, _ = await doppel(clean, "status", "--json")
    assert code == 0
    assert found["personas"] == found["runs"] == found["replicas"] == []
    assert {row["lag"] for row in found["streams"] if "durable" in row} == {0}


async def test_a_scrape_is_published_as_the_contract_says(clean: TestServers) -> None:
    code, found, _ = await doppel(clean, "scrape", "--team", "T0CLI", "--no-wait", "--json")
    assert code == 0
    request = await stored(clean, "SCRAPE_REQUEST")
    assert (request["team_id"], request["source"]) == ("T0CLI", "api")
    assert request["request_id"] == found["request_id"]


async def test_consent_is_a_command_not_a_row(clean: TestServers) -> None:
    arguments = ("--team", "T0CLI", "--user", "U0ADA", "--yes", "--reason", "told me", "--no-wait", "--json")
    code, found, _ = await doppel(clean, "consent", "record", *arguments)
    assert code == 0
    request = await stored(clean, "PERSONA_REQUEST")
    assert request["granted"] is True
    assert request["user_id"] == found["user_id"] == "U0ADA"


async def test_an_upload_is_in_the_bucket_before_its_request(clean: TestServers, tmp_path: Any) -> None:
    from doppel.storage import Storage

    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w") as export:
        for name in ("channels.json", "users.json"):
            export.writestr(name, "[]")
    code, found, err = await doppel(clean, "import", str(file), "--team", "T0CLI", "--no-wait", "--json")
    assert code == 0, err
    storage = Storage(clean.s3)
    try:
        assert await storage.get_bytes(found["key"]) == file.read_bytes()
    finally:
        storage.close()
    assert (await stored(clean, "SCRAPE_REQUEST"))["source"] == f"export:{found['key']}"


async def test_dead_letters_are_listed_and_shown(clean: TestServers) -> None:
    client = await open_client(clean.bus)
    try:
        headers = {"doppel-error-code": "undecodable", "doppel-error": "body: json_invalid"}
        ack = await jetstream_of(client).publish("dead.train.request", b"{oops", headers=headers)
    finally:
        await client.close()
    code, found, _ = await doppel(clean, "dead", "list", "--json")
    assert code == 0
    assert [(letter["came_as"], letter["code"]) for letter in found["letters"]] == [
        ("train.request", "undecodable")
    ]
    code, found, _ = await doppel(clean, "dead", "show", str(ack.seq), "--json")
    assert (code, found["body"]) == (0, "{oops")


async def test_an_unknown_name_is_one_sentence_and_exit_code_one(clean: TestServers) -> None:
    code, found, err = await doppel(clean, "train", "--team", "T0CLI", "--user", "nobody", "--json")
    assert code == 1
    assert found["error"]["code"] == "persona_unknown"
    assert err.strip() == found["error"]["message"]


async def test_no_outcome_in_time_is_said(clean: TestServers) -> None:
    arguments = ("--team", "T0CLI", "--text", "hello", "--timeout", "0.5", "--json")
    code, found, _ = await doppel(clean, "generate", *arguments)
    assert (code, found["error"]["code"]) == (1, "timeout")


@pytest.mark.parametrize("arguments", [("bus", "apply"), ("status",), ("dead", "list")])
async def test_what_people_read_has_no_json(servers: TestServers, arguments: tuple[str, ...]) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "doppel",
        *arguments,
        env=inherited() | servers.environment("reader"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, _ = await child.communicate()
    assert child.returncode == 0
    assert out.strip()
    assert not out.startswith(b"{")
