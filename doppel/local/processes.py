"""Who a process is, and how to end what a supervisor that was killed left behind (Linux)."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from doppel.local.files import write_private

_CLONE_NEWUSER: Final = 0x10000000
_PR_SET_PDEATHSIG: Final = 1
_OTHER_UID: Final = 1000
_libc: Final = ctypes.CDLL(None, use_errno=True)  # looked up before any fork: only system calls after it


@dataclass(frozen=True)
class Identity:
    """One process for certain: a pid alone may be somebody else's by now."""

    pid: int
    started: int  # clock ticks since boot
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process of that pid; None where there is none."""
        found = _stat(pid)
        return None if found is None else cls(pid, found.started, _boot_id())

    def is_alive(self) -> bool:
        """The very same process still runs (a zombie does not)."""
        found = _stat(self.pid)
        return found is not None and found.started == self.started and self.boot_id == _boot_id()

    async def ended(self, within_s: float) -> bool:
        """Wait until it has ended; False where it still runs after `within_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.is_alive():  # noqa: ASYNC110  another process sets no event of ours
                    await asyncio.sleep(0.05)
        return not self.is_alive()


@dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    if fields[0] in {"Z", "X"}:
        return None
    return _Stat(fields[0], int(fields[3]), int(fields[19]))


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def members(session: int) -> Iterator[int]:
    """Every process of a session: a child and all that it started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            found = _stat(int(entry.name))
            if found is not None and found.session == session:
                yield int(entry.name)


def kill_session(session: int, *, leader_gone: bool = False) -> int:
    """SIGKILL for every process of a session; returns how many there were.

    `leader_gone`: the child has been waited for, so whoever bears its number now is a stranger.
    """
    count = 0
    if leader_gone and _stat(session) is not None:
        return 0
    for pid in list(members(session)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


async def until_gone(session: int, within_s: float = 5.0) -> None:
    """After a SIGKILL: wait until the kernel has taken the whole session away."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while any(members(session)):  # noqa: ASYNC110  another process sets no event of ours
                await asyncio.sleep(0.02)


def remember(folder: Path, name: str, pid: int) -> None:
    """Write down a child, for the `up` after a kill -9 of the supervisor."""
    identity = Identity.of(pid)
    if identity is not None:
        write_private(folder / f"{name}.json", json.dumps(asdict(identity)))


def remember_self(folder: Path, name: str) -> None:
    """Write down this process, for who wants to stop it."""
    remember(folder, name, os.getpid())


def recall(path: Path) -> Identity | None:
    """Read what `remember` wrote; None where it is missing or unreadable."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return Identity(int(found["pid"]), int(found["started"]), str(found["boot_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(folder: Path, name: str) -> None:
    """The child has ended in order."""
    (folder / f"{name}.json").unlink(missing_ok=True)


async def end_leftovers(folder: Path) -> list[str]:
    """End the children of an earlier supervisor, with all they started. Returns their names."""
    killed: list[str] = []
    for name, identity in _recorded(folder).items():
        if _is_ours(identity) and kill_session(identity.pid):
            killed.append(name)
            await until_gone(identity.pid)
        forget(folder, name)
    return killed


def _recorded(folder: Path) -> dict[str, Identity]:
    found = {path.stem: recall(path) for path in sorted(folder.glob("*.json"))}
    return {name: identity for name, identity in found.items() if identity is not None}


def _is_ours(identity: Identity) -> bool:
    """A session's number is not given away while a member lives, so only its leader can be a stranger."""
    leader = _stat(identity.pid)
    same_boot = identity.boot_id == _boot_id()
    return same_boot and (leader is None or leader.started == identity.started)


def before_exec(*, other_uid: bool) -> Callable[[], None]:
    """What a child does between fork and exec: die with us and, under root, call itself by another uid.

    PostgreSQL refuses uid 0. In a user namespace root goes by 1000: no account, no chown. The death signal
    comes last, since a change of credentials clears it.
    """
    parent = os.getpid()

    def prepare() -> None:
        if other_uid and os.getuid() == 0:
            if _libc.unshare(_CLONE_NEWUSER) != 0:
                raise OSError(ctypes.get_errno(), "no user namespaces")
            for name, text in (
                ("setgroups", b"deny"),
                ("uid_map", b"%d 0 1" % _OTHER_UID),
                ("gid_map", b"%d 0 1" % _OTHER_UID),
            ):
                file = os.open(f"/proc/self/{name}", os.O_WRONLY)
                os.write(file, text)
                os.close(file)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return prepare
