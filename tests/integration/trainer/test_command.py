"""`doppel report` and `doppel adapter` beside a trainer that has published."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from doppel.local.settings import inherited
from proto.train import RunState
from tests.integration.trainer.conftest import Desk


async def doppel(desk: Desk, *arguments: str, expect: int = 0) -> dict[str, Any]:
    """The last line as JSON."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "doppel",
        *arguments,
        "--json",
        env=inherited() | desk.servers.environment("reader"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, err = await child.communicate()
    assert child.returncode == expect, err.decode()
    return json.loads(out.decode().splitlines()[-1])


async def test_the_command_shows_exports_and_collects(desk: Desk, tmp_path: Path) -> None:
    await desk.consent("U0ADA")
    await desk.dataset("U0ADA")
    await desk.database.execute(
        "insert into gateway.personas (team_id, user_id, name) values ('T0TRAIN', 'U0ADA', 'Ada')"
    )
    nobody = await doppel(desk, "report", "@ada", expect=1)
    assert nobody["error"]["code"] == "adapter_missing"
    await desk.start()
    result = await desk.result(await desk.ask("U0ADA", max_steps=12))
    assert result.state is RunState.PUBLISHED, result
    short = str(result.run_id)[:8]

    report = await doppel(desk, "report", "@ada", "--save", str(tmp_path / "report"))
    assert report["report"]["measures"]["test_loss"] == result.test_loss
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.html",
        "report.json",
        "loss.png",
    }

    listed = await doppel(desk, "adapter", "list", "--user", "ada")
    assert [(one["run_id"], one["standing"]) for one in listed["versions"]] == [
        (str(result.run_id), "published")
    ]
    shown = (await doppel(desk, "adapter", "show", short))["version"]
    assert shown["config"]["step_count"] == 12
    assert shown["dataset_sha256"]
    assert shown["code_version"]
    assert (await doppel(desk, "adapter", "show", "ffffffff", expect=1))["error"]["code"] == "version_missing"

    await doppel(desk, "adapter", "export", short, str(tmp_path / "peft"))
    assert {path.name for path in (tmp_path / "peft").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    await doppel(desk, "adapter", "export", short, str(tmp_path / "whole"), "--merged")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in (tmp_path / "whole").iterdir()
    }
    weights = load_file(tmp_path / "whole" / "model.safetensors")
    assert not any("lora" in name for name in weights)
    assert [path.name for path in tmp_path.glob(".doppel*")] == []
    again = await doppel(desk, "adapter", "export", short, str(tmp_path / "whole"), expect=1)
    assert again["error"]["code"] == "usage"

    gone = await doppel(desk, "adapter", "gc", "--keep", "1")
    assert gone["result"]["run_ids"] == []
