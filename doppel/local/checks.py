"""Is this machine large enough? Said in one sentence before anything starts."""

import platform
import shutil
from pathlib import Path

from doppel.local.settings import GIB, LocalSettings


class MachineTooSmall(Exception):
    """What is missing, in one sentence."""


def check_machine(settings: LocalSettings) -> None:
    """Raises MachineTooSmall."""
    if platform.system() != "Linux":
        raise MachineTooSmall(
            "The inference engine needs Linux. On this machine use Docker: docker compose up."
        )
    check_sizes(
        free_memory(),
        shutil.disk_usage(_existing(settings.home)).free,
        need_memory_bytes=int(settings.need_memory_bytes),
        need_disk_bytes=int(settings.need_disk_bytes),
    )


def check_sizes(memory_bytes: int, disk_bytes: int, *, need_memory_bytes: int, need_disk_bytes: int) -> None:
    """Compare what is free with what is needed. Raises MachineTooSmall."""
    for what, free, need, name in (
        ("memory", memory_bytes, need_memory_bytes, "DOPPEL_NEED_MEMORY_BYTES"),
        ("disk", disk_bytes, need_disk_bytes, "DOPPEL_NEED_DISK_BYTES"),
    ):
        if free < need:
            raise MachineTooSmall(
                f"This machine has {free / GIB:.1f} GB of free {what}, about {need / GIB:.0f} GB are needed; "
                f"free some, or set {name} to try with less."
            )


def free_memory() -> int:
    """Bytes that may still be taken: of the machine, or of the control group where that is less."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    known = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    available = known.get("MemAvailable", known.get("MemFree", 0))
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no group, or "max"
        return available
    return min(available, limit - used)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
