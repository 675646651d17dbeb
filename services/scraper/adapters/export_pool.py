"""Worker processes of one import: channels side by side, each worker with memory of its own. Blocking.

A worker that ends before it should is an error, never a wait: its pipe closes. One that is not heard of is ended.
"""

import contextlib
import logging
import os
import re
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from proto.errors import TransientError
from services.scraper.adapters.channel_job import ChannelReader, Done, Job, Setup
from services.scraper.adapters.export_words import Heard, Refused, parse_reply
from services.scraper.core.archive import ArchiveRefused

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parents[3]
LOOK_EVERY_S: Final = 0.25
QUIET_S: Final = 120.0  # a worker speaks several times a second; so long only a broken disk is silent
END_S: Final = 10.0
_READ_BYTES: Final = 256 * 1024
_STDERR_CHARACTERS: Final = 65_536
_ERROR_NAME: Final = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt))\b", re.MULTILINE)


class WorkerLost(TransientError):
    """A worker was killed, or the machine has no memory left. Reading starts again."""

    code = "child_killed"

    def __init__(self) -> None:
        super().__init__("A process that read the export ended; reading starts again.", delay_s=5)


def do_here(
    setup: Setup, plan: Path, jobs: Sequence[Job], runs: Path, heard: Callable[[int, int], None]
) -> Generator[tuple[Job, Done]]:
    """All jobs in this process. Raises ArchiveRefused, and what `heard` raises."""
    reader = ChannelReader(setup, plan, runs, heard)
    for job in jobs:
        yield job, reader.read(job)


def do_in_workers(
    setup: Setup, plan: Path, jobs: Sequence[Job], runs: Path, heard: Callable[[int, int], None], count: int
) -> Generator[tuple[Job, Done]]:
    """All jobs, the first ones first, as they get done. Raises ArchiveRefused, WorkerLost, and what `heard` raises."""
    waiting = deque(jobs)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(min(count, len(jobs))):
            folder = runs / f"worker-{number}"
            folder.mkdir(parents=True)
            worker = stack.enter_context(_Worker(setup, plan, folder))
            selector.register(worker.output, selectors.EVENT_READ, worker)
            worker.begin(waiting.popleft())
        while selector.get_map():
            heard(0, 0)
            for key, _ in selector.select(LOOK_EVERY_S):
                worker: _Worker = key.data
                for reply in worker.replies():
                    match reply:
                        case Heard(messages, count_bytes):
                            heard(messages, count_bytes)
                        case Refused(reason):
                            raise ArchiveRefused(reason)
                        case Done():
                            yield worker.job, reply
                            if waiting:
                                worker.begin(waiting.popleft())
                            else:
                                selector.unregister(worker.output)
            if any(key.data.is_silent for key in selector.get_map().values()):
                raise WorkerLost


class _Worker:
    """One process."""

    def __init__(self, setup: Setup, plan: Path, runs: Path) -> None:
        self._stderr = runs / "stderr"
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.scraper.adapters.export_worker", str(plan), str(runs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                bufsize=0,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._held = b""
        self._heard_at = time.monotonic()
        self.job: Job
        self._send(setup)

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *error: object) -> None:
        """It has nothing to lose: what it wrote is in a folder that goes, or was told already."""
        self._process.kill()
        self._process.wait(END_S)
        self._input.close()
        self._output.close()

    @property
    def output(self) -> int:
        """What to wait for."""
        return self._output.fileno()

    @property
    def is_silent(self) -> bool:
        """Too long for a living one."""
        return time.monotonic() - self._heard_at > QUIET_S

    def begin(self, job: Job) -> None:
        """Give it a job; it has none."""
        self.job = job
        self._send(job)

    def replies(self) -> Iterator[Heard | Refused | Done]:
        """What it said by now. Raises WorkerLost at its end: it says so before it may end."""
        data = os.read(self.output, _READ_BYTES)
        if not data:
            raise self._lost()
        self._heard_at = time.monotonic()
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            yield parse_reply(line)

    def _send(self, message: Setup | Job) -> None:
        try:
            self._input.write(msgspec.json.encode(message) + b"\n")
        except BrokenPipeError as error:
            raise self._lost() from error

    def _lost(self) -> WorkerLost:
        """For the log its exit code and an exception's name: the text of one may quote people."""
        with contextlib.suppress(
            subprocess.TimeoutExpired
        ):  # its pipe is closed; it is killed on the way out
            self._process.wait(END_S)
        errors = _ERROR_NAME.findall(self._stderr.read_text("utf-8", "replace")[-_STDERR_CHARACTERS:])
        log.warning("worker ended", extra={"exit_code": self._process.returncode, "errors": errors[-3:]})
        return WorkerLost()
