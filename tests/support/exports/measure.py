"""Reads an export in its own process, for what it costs: ``python -m tests.support.exports.measure ZIP FOLDER``."""

import contextlib
import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True)
class Measured:
    """How a reading ended."""

    refused: str  # the sentence; empty: it was read
    message_count: int
    wall_s: float
    cpu_s: float  # of the process and its workers: what stays the same on a busy machine
    rss_mib: float  # of the process and all of its workers together, at most
    disk_mib: float  # in the folder at the end
    hashes: list[str]


def measure(archive: Path, folder: Path, timeout_s: float = 300.0) -> Measured:
    """Read it. Raises CalledProcessError for anything but a refusal."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.support.exports.measure", str(archive), str(folder)]
    high: dict[int, int] = {}  # process → KiB
    deadline = time.monotonic() + timeout_s
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            for pid in (process.pid, *_children(process.pid)):
                high[pid] = _high_water_kib(pid) or high.get(pid, 0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)
            if time.monotonic() > deadline:
                process.kill()
        output, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    return Measured(**json.loads(output), rss_mib=round(sum(high.values()) / 1024, 1))


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _high_water_kib(pid: int) -> int:
    """Of its own memory: `getrusage` counts for a new process what the one that started it held."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


def _main(archive: Path, folder: Path) -> None:
    from proto.errors import ExportInvalid
    from services.scraper.adapters.building import build_from_export
    from services.scraper.adapters.work import Work
    from services.scraper.core.source import TsWindow
    from tests.support.exports.people import TEAM

    begin, refused, count, hashes = time.monotonic(), "", 0, list[str]()
    try:
        built = build_from_export(archive, TEAM, TsWindow(), folder, Work())
        count, hashes = built.message_count, [built.people.sha256, *(shard.sha256 for shard in built.shards)]
    except ExportInvalid as error:
        refused = str(error)
    own, worker = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "refused": refused,
        "message_count": count,
        "wall_s": round(time.monotonic() - begin, 2),
        "cpu_s": round(own.ru_utime + own.ru_stime + worker.ru_utime + worker.ru_stime, 2),
        "disk_mib": round(
            sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) / 2**20, 1
        ),
        "hashes": hashes,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
