"""Keys change under a running gateway: new one in front, rotate, old one away."""

import asyncio
import json
import sys
from typing import Any

from pydantic import SecretStr

from doppel.local.settings import inherited
from doppel.secrets import TokenBox, new_key
from tests.integration.gateway.rig import Rig
from tests.integration.gateway_installs.browser import a_browser
from tests.integration.gateway_installs.test_installs import answered, in_team

KEYS = "DOPPEL_ENCRYPTION_KEYS"


async def rotate(rig: Rig, keys: str) -> tuple[int, dict[str, Any]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "doppel", "keys", "rotate", "--json",
        env=inherited() | {"DOPPEL_POSTGRES_DSN": rig.servers.postgres_dsn, KEYS: keys},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await child.communicate()
    lines = out.decode().splitlines()
    assert "xox" not in out.decode() + err.decode()
    return child.returncode or 0, json.loads(lines[-1]) if lines else {}


async def run_with(rig: Rig, keys: str) -> None:
    for replica in rig.replicas:
        await replica.stop()
        replica.environment = {**replica.environment, KEYS: keys}
        await replica.start(rig.workspace.http)


async def test_after_a_rotation_the_old_key_may_go(rig: Rig) -> None:
    old, fresh = rig.replicas[0].environment[KEYS], new_key()
    async with a_browser(rig) as browser:
        await browser.install("T1OTHER")
    await run_with(rig, f"{fresh},{old}")
    code, found = await rotate(rig, f"{fresh},{old}")
    assert (code, found["ok"]) == (0, True)
    assert found["resealed"] > 0
    code, again = await rotate(rig, f"{fresh},{old}")
    assert (code, again["resealed"], again["sealed"]) == (0, 0, found["sealed"])
    row = await rig.row("select * from gateway.installations where team_id = 'T1OTHER'")
    alone = TokenBox(SecretStr(fresh))
    assert alone.open("T1OTHER", row["bot_token"]).startswith("xoxe.xoxb-")
    assert alone.open("T1OTHER", row["refresh_token"]).startswith("xoxe-")
    await run_with(rig, fresh)
    for workspace, team_id in ((in_team(rig, "T1OTHER"), "T1OTHER"), (rig.workspace, "T0DOPPEL")):
        assert await answered(rig, workspace, f"rotated{team_id}") == team_id


async def test_a_missing_key_is_told_and_changes_nothing(rig: Rig) -> None:
    before = await rig.row("select bot_token from gateway.installations where team_id = 'T1OTHER'")
    code, found = await rotate(rig, new_key())
    assert (code != 0, found["ok"]) == (True, False)
    assert found["error"]["code"] == "unreadable"
    assert await rig.row("select bot_token from gateway.installations where team_id = 'T1OTHER'") == before
