"""Worker processes: the same bytes whatever their number; they end when they should, and never keep anybody waiting."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proto.errors import ExportInvalid, TransientError
from services.scraper.adapters.building import Built, build_from_export
from services.scraper.adapters.work import Stopped, Work
from services.scraper.core.source import TsWindow

TEAM = "T1"
USERS = [{"id": "U0ADA", "team_id": TEAM, "name": "ada"}]
DEADLINE_S = 60.0


def export(path: Path, channels: int, days: int, messages: int, seed: int = 1) -> Path:
    """Channels of different sizes; with another seed the same in another order."""
    names = [f"channel-{number}" for number in range(channels)]
    files: list[tuple[str, Any]] = [
        ("channels.json", [{"id": f"C0{number:04d}", "name": name} for number, name in enumerate(names)]),
        ("users.json", USERS),
    ]
    for number, name in enumerate(names):
        files += [
            (f"{name}/2024-{day // 28 + 1:02d}-{day % 28 + 1:02d}.json", _day(number, day, messages))
            for day in range(days)
        ]
    if seed != 1:
        files.reverse()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files:
            archive.writestr(name, json.dumps(content))
    return path


def _day(number: int, day: int, messages: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "message",
            "user": "U0ADA" if each % 5 else "U0EVE",
            "user_profile": {"display_name": f"Eve {number}", "team": "T2"},
            "text": f"words {each} of {day}",
            "ts": f"{1_700_000_000 + 86_400 * day + each}.000100",
            "thread_ts": f"{1_700_000_000 + each}.000100" if each % 3 else None,
        }
        for each in range(messages * (number % 3 + 1))
    ]


def build(path: Path, folder: Path, workers: int, work: Work | None = None) -> Built:
    folder.mkdir()
    return build_from_export(path, TEAM, TsWindow(), folder, work or Work(), workers=workers)


def test_the_bytes_are_the_same_whatever_the_workers_and_the_order(tmp_path: Path) -> None:
    here = build(export(tmp_path / "a.zip", 7, 5, 40), tmp_path / "here", 0)
    other = export(tmp_path / "b.zip", 7, 5, 40, seed=2)
    for workers in (1, 3):
        work = Work()
        there = build(other, tmp_path / f"there-{workers}", workers, work)
        assert (there.shards, there.people, there.content_sha256) == (
            here.shards,
            here.people,
            here.content_sha256,
        )
        assert work.step == here.message_count + sum(here.dropped.values())
        assert work.channels_done == work.channel_count == 7
    people = json.loads((tmp_path / "here" / "people.json").read_bytes())
    assert [(each["user_id"], each["is_external"]) for each in people] == [("U0ADA", False), ("U0EVE", True)]


def test_what_a_worker_refuses_is_one_sentence(tmp_path: Path) -> None:
    path = export(tmp_path / "a.zip", 3, 2, 5)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("channel-1/2025-01-01.json", "[nonsense")
    with pytest.raises(ExportInvalid, match="a day of a channel is no list"):
        build(path, tmp_path / "out", 2)
    assert _children(os.getpid()) == []


def test_a_killed_worker_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    path = export(tmp_path / "a.zip", 8, 28, 200)
    with _when_reading(lambda pids: os.kill(pids[0], signal.SIGKILL)), pytest.raises(TransientError):
        build(path, tmp_path / "out", 2)
    assert _children(os.getpid()) == []


def test_being_asked_to_stop_ends_the_workers(tmp_path: Path) -> None:
    path = export(tmp_path / "a.zip", 8, 28, 400)
    work = Work()
    asked: list[float] = []

    def stop(pids: list[int]) -> None:
        asked.append(time.monotonic())
        work.stop()

    with _when_reading(stop), pytest.raises(Stopped):
        build(path, tmp_path / "out", 2, work)
    assert time.monotonic() - asked[0] < 5
    assert _children(os.getpid()) == []


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    path = export(tmp_path / "a.zip", 8, 28, 400)
    (tmp_path / "out").mkdir()
    program = (
        "from pathlib import Path\n"
        "from services.scraper.adapters.building import build_from_export\n"
        "from services.scraper.adapters.work import Work\n"
        "from services.scraper.core.source import TsWindow\n"
        "import sys\n"
        "build_from_export(Path(sys.argv[1]), 'T1', TsWindow(), Path(sys.argv[2]), Work(), workers=2)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(path), str(tmp_path / "out")])
    workers = _eventually(lambda: found if len(found := _children(parent.pid)) == 2 else None)
    parent.kill()
    parent.wait(DEADLINE_S)
    _eventually(lambda: not any(_is_alive(pid) for pid in workers))


class _when_reading:
    """Meanwhile, as soon as the workers are there, something happens to them."""

    def __init__(self, act: Callable[[list[int]], None]) -> None:
        self._thread = threading.Thread(target=lambda: act(_eventually(lambda: _children(os.getpid()))))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join(DEADLINE_S)


def _children(pid: int) -> list[int]:
    """Workers among a process's children."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(each) for each in (task / "children").read_text().split()]
    return [each for each in found if b"export_worker" in _command(each)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_alive(pid: int) -> bool:
    return b"export_worker" in _command(pid)


def _eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not (found := look()):
        assert time.monotonic() < deadline
        pause.wait(0.02)
    return found
