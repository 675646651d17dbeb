"""The recipe's process: started here, heard line by line, beaten while the run is ours, ended with us."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from proto.errors import TrainingFailed, TransientError
from services.trainer.core.job import MAX_LINE_BYTES, Event, Job, parse_event

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parents[3]
QUIET_S: Final = 1800.0  # the longest step, evaluation or load of a large model
END_S: Final = 10.0
STDERR_BYTES: Final = 65_536
_ERROR_NAME: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt))\b", re.MULTILINE)


class ChildKilled(TransientError):
    """The child ended without a word: killed, or out of memory. The newest checkpoint is where to go on."""

    code = "child_killed"

    def __init__(self, *, crashed: bool) -> None:
        super().__init__("The training's process ended; it goes on from its last checkpoint.", delay_s=1)
        self.crashed = crashed  # False: our own SIGTERM, before the child could answer it


class Child:
    """One running recipe."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    async def events(self) -> AsyncGenerator[Event]:
        """What it says, to its end. Raises TrainingFailed for a line that is none, TimeoutError after long silence."""
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(QUIET_S):
                line = await self._process.stdout.readline()
            if not line.endswith(b"\n"):
                return
            try:
                yield parse_event(line)
            except ValidationError as error:
                raise TrainingFailed("The training said something that nobody understands.") from error

    async def ended(self) -> ChildKilled:
        """Why there was no last word; for the log its exit code and, of stderr, the name of an exception."""
        async with asyncio.timeout(END_S):
            code = await self._process.wait()
        names = await asyncio.to_thread(self._error_names)
        log.warning("child ended", extra={"pid": self.pid, "exit_code": code, "errors": names})
        return ChildKilled(crashed=code != -signal.SIGTERM)

    def beat(self) -> None:
        """The run is still ours."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(b".")

    def terminate(self) -> None:
        """Write a checkpoint and end. A stopped child hears it only when it goes on."""
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it now, with all that it may have started, and reap it."""
        self._signal(signal.SIGKILL)
        async with asyncio.timeout(END_S):
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _error_names(self) -> list[str]:
        """Names only: an exception's text may quote people."""
        with self._stderr.open("rb") as file:
            file.seek(max(0, self._stderr.stat().st_size - STDERR_BYTES))
            return _ERROR_NAME.findall(file.read().decode("utf-8", "replace"))[-3:]


@contextlib.asynccontextmanager
async def started(job: Job, environment: Mapping[str, str]) -> AsyncGenerator[Child]:
    """Start the recipe on `job`; leaving the block ends it however it is left."""
    work = Path(job.work_folder)
    job_file, stderr = work / "job.json", work / "stderr.log"
    await asyncio.to_thread(job_file.write_text, job.model_dump_json())
    with stderr.open("wb") as stderr_file:  # an unread pipe would block the child
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.trainer.recipe",
            str(job_file),
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr_file,
            cwd=ROOT,
            env=dict(environment),
            start_new_session=True,
            limit=16 * MAX_LINE_BYTES,
        )
    child = Child(process, stderr)
    log.info("child started", extra={"run_id": job.run_id, "pid": child.pid})
    try:
        yield child
    finally:
        await child.kill()
