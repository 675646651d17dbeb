"""The whole system as a user starts it: `doppel up` as a child, reached through `.doppel/endpoints.json`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UP_S = 300
DOWN_S = 90

QUICK: dict[str, str] = {  # a tiny model, short leases and waits: the same code, less waiting
    "DOPPEL_BASE_MODEL": "tiny",
    "DOPPEL_ACK_WAIT_S": "4",
    "DOPPEL_RUN_LEASE_S": "3",
    "DOPPEL_SCRAPE_LEASE_S": "3",
    "DOPPEL_QUEUE_POLL_S": "1",
    "DOPPEL_CLAIM_TTL_S": "3",
    "DOPPEL_SLACK_TIMEOUT_S": "2",
    "DOPPEL_SETTLE_S": "6",
    "DOPPEL_GRACEFUL_TIMEOUT_S": "10",
    "DOPPEL_ANSWER_DEADLINE_S": "300",
    "DOPPEL_TRAINER_THREADS": "1",
    "DOPPEL_PLAYGROUND_RETRY_SCALE": "0.05",
    "DOPPEL_PLAYGROUND_MESSAGE_COUNT": "1200",
    "DOPPEL_LOG_LEVEL": "DEBUG",
    "DOPPEL_NEED_MEMORY_BYTES": "4GiB",
}


@dataclass
class Stack:
    """One running `doppel up` in its own state folder."""

    home: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOPPEL_")}  # noqa: TID251
        return inherited | dict(self.environment) | {"DOPPEL_HOME": str(self.home)}

    def start(self) -> None:
        """Run `doppel up` until every service is ready. Raises AssertionError with the log's end."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "doppel", "up", *self.arguments],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + UP_S
        while not self._is_up():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                tail = (self.home / "up.log").read_text(errors="replace")[-3000:]
                raise AssertionError(f"`doppel up` {'ended' if ended else 'is not ready'}:\n{tail}")
            time.sleep(0.2)  # noqa: TID251  the fixture is synchronous, nothing else runs

    def _is_up(self) -> bool:
        try:
            return bool(self.endpoints.get("ready"))
        except (OSError, ValueError):
            return False

    @property
    def endpoints(self) -> dict[str, Any]:
        """Every address and credential, as people read it."""
        return json.loads((self.home / "endpoints.json").read_text())

    def pid(self, name: str) -> int:
        """The pid of a child, as of now: ``gateway-1``, ``nats``, ``postgres`` …"""
        return int(self.endpoints["pids"][name])

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a child; returns the pid it had."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def cli(self, *arguments: str, timeout_s: float = 300) -> tuple[int, str]:
        """Run the command against this stack; (exit code, stdout)."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "doppel",
            *arguments,
            cwd=ROOT,
            env=self._environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(timeout_s):
            out, err = await child.communicate()
        text = out.decode()
        return child.returncode or 0, text if text.strip() else err.decode()

    def logs(self) -> str:
        """Everything any process of the stack wrote."""
        files = [*self.home.glob("log/*"), self.home / "up.log"]
        return "\n".join(file.read_text(errors="replace") for file in files if file.is_file())

    def stop(self) -> int:
        """SIGTERM, as Ctrl-C does; returns the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DOWN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        return self.process.returncode

    def leftovers(self) -> list[str]:
        """Processes that still carry this stack's state folder in their environment or command line."""
        found: list[str] = []
        marker = str(self.home).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            if folder.name == str(os.getpid()):
                continue
            try:
                known = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker in known and state != "Z":
                found.append(folder.name)
        return found
