"""`docker compose` as a user types it, in a project of its own, and what the tests look at from outside."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.stack import ROOT
from tests.support.waiting import eventually

QUICK: dict[str, str] = {  # a tiny model, short leases and waits, any free port: the same files
    "DOPPEL_BASE_MODEL": "tiny",
    "DOPPEL_ACK_WAIT_S": "5",
    "DOPPEL_RUN_LEASE_S": "4",
    "DOPPEL_SCRAPE_LEASE_S": "4",
    "DOPPEL_QUEUE_POLL_S": "1",
    "DOPPEL_CLAIM_TTL_S": "4",
    "DOPPEL_SETTLE_S": "8",
    "DOPPEL_ANSWER_DEADLINE_S": "300",
    "DOPPEL_TRAINER_THREADS": "1",
    "DOPPEL_PLAYGROUND_RETRY_SCALE": "0.05",
    "DOPPEL_PLAYGROUND_MESSAGE_COUNT": "1200",
    "DOPPEL_GATEWAY_PUBLISH": "127.0.0.1:",
    "DOPPEL_PLAYGROUND_PUBLISH": "127.0.0.1:",
}


class ComposeFailed(AssertionError):
    """A command of compose's ended with an error."""


async def why_no_engine() -> str | None:
    """None where an engine and compose answer, else one sentence."""
    if shutil.which("docker") is None:
        return "there is no docker command here"
    for command in (("compose", "version"), ("info", "--format", "{{.ServerVersion}}")):
        try:
            code, _, said = await _run(("docker", *command), os.environ, timeout_s=20)  # noqa: TID251
        except TimeoutError:
            return "the Docker engine does not answer"
        if code != 0:
            return f"no Docker engine answers ({said.strip().splitlines()[-1] if said.strip() else code})"
    return None


async def _run(argv: tuple[str, ...], env: Mapping[str, str], *, timeout_s: float) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=ROOT,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


@dataclass
class Project:
    """One compose project. COMPOSE_FILE, TORCH_BACKEND and the images' names come from whoever runs the tests."""

    name: str
    log: Path

    async def compose(self, *arguments: str, timeout_s: float = 600) -> str:
        """Run it with the demo's profile; returns its stdout. Raises ComposeFailed."""
        argv = ("docker", "compose", "--progress", "quiet", "--env-file", os.devnull, "-p", self.name)
        argv += ("--profile", "demo", *arguments)
        code, said, aside = await _run(argv, {**os.environ, **QUICK}, timeout_s=timeout_s)  # noqa: TID251
        with self.log.open("a") as file:
            file.write(f"$ docker compose {' '.join(arguments)}  → {code}\n{said}{aside}")
        if code != 0:
            logs = await _run((*argv[:10], "logs", "--tail", "30"), {**os.environ, **QUICK}, timeout_s=60)  # noqa: TID251
            raise ComposeFailed(
                f"docker compose {' '.join(arguments)} ended with {code}:\n{said}{aside}\n{logs[1][-6000:]}"
            )
        return said

    async def up(self, *arguments: str) -> None:
        """Start everything, and wait until it is healthy."""
        await self.compose("up", "-d", "--wait", "--wait-timeout", "1500", *arguments, timeout_s=1600)

    async def doppel(self, *arguments: str) -> dict[str, Any]:
        """The operator's command; its last line of JSON."""
        said = await self.compose("run", "--rm", "-T", "--no-deps", "doppel", *arguments, "--json")
        return json.loads(said.strip().splitlines()[-1])

    async def python(self, service: str, code: str) -> str:
        """What a line of Python prints inside a container."""
        return (await self.compose("exec", "-T", service, "python", "-c", code, timeout_s=120)).strip()

    async def url(self, service: str, port: int) -> str:
        """Where this host reaches a published port."""
        return f"http://{(await self.compose('port', service, str(port))).strip().splitlines()[-1]}"

    async def containers(self) -> list[dict[str, Any]]:
        """`docker inspect` of each of them that should run."""
        ids = (await self.compose("ps", "-q")).split()
        _, said, _ = await _run(("docker", "inspect", *ids), os.environ, timeout_s=60)  # noqa: TID251
        return json.loads(said)

    async def all_healthy(self, since: Mapping[str, str] | None = None, *, within_s: float = 300) -> None:
        """Wait until each container is healthy, and has been started again after `since` (name → start)."""

        async def are() -> bool:
            found = await self.containers()
            healthy = all(c["State"].get("Health", {}).get("Status") == "healthy" for c in found)
            fresh = all(
                c["State"]["StartedAt"] != since[c["Name"]] for c in found if since and c["Name"] in since
            )
            return healthy and fresh

        await eventually(are, what="every container is healthy", within_s=within_s)
