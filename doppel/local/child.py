"""What a child process is: how it is started, how one knows that it serves, how it is stopped."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

Ready = Callable[[], Awaitable[bool]]
PROBE_S: Final = 2.0


@dataclass(frozen=True)
class Child:
    """One process of the stack. `ready` is asked again and again until it says yes; it must not hang."""

    name: str
    argv: tuple[str, ...]
    ready: Ready
    env: Mapping[str, str] = field(repr=False, default_factory=dict[str, str])
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0
    ready_s: float = 30.0
    ask_every_s: float = 0.05
    other_uid: bool = False  # PostgreSQL refuses to run as root


async def answers(url: str) -> bool:
    """Does a GET of this plain HTTP address say 200?"""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(name, int(port))
            try:
                writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status
