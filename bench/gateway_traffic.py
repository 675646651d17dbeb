"""Deliveries as Slack sends them: signed events on connections that stay open, so many under way at once."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playground.signing import signed_headers
from tests.integration.gateway.rig import SECRET

CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0
RETRIES: Final = 10
WORDS: Final = (
    "A question about the release, of a length that people write: what is left to do before Thursday? " * 3
)


@dataclass(frozen=True)
class Run:
    """What came of one round."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the side's process, an event

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, {self.cpu_us:,.0f} µs of CPU"


@dataclass(frozen=True)
class Side:
    """A process that takes events."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """What it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def own_mb(self) -> float:
        """Its anonymous memory: what it holds itself. Its libraries are shared with whoever runs beside it."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) / 1024


def body_of(event_id: str, kind: str = "app_mention") -> bytes:
    """An envelope as Slack's, about 1.3 kB."""
    event: dict[str, Any] = {
        "type": kind, "channel": "C0GENERAL", "user": "U0BRAM", "text": f"<@U0DOPPEL> {WORDS}",
        "ts": "1780000000.000100", "event_ts": "1780000000.000100", "team": "T0DOPPEL",
        "blocks": [{"type": "rich_text", "block_id": "b", "elements": [{"type": "text", "text": WORDS}]}],
    }  # fmt: skip
    if kind == "message":
        event |= {"channel_type": "channel", "text": WORDS}
    envelope = {
        "token": "deprecated", "team_id": "T0DOPPEL", "context_team_id": "T0DOPPEL", "api_app_id": "A0DOPPEL",
        "event": event, "type": "event_callback", "event_id": event_id, "event_time": 1780000000,
        "authorizations": [
            {"enterprise_id": None, "team_id": "T0DOPPEL", "user_id": "U0DOPPEL", "is_bot": True,
             "is_enterprise_install": False}
        ],
        "is_ext_shared_channel": False, "event_context": "4-0123456789abcdef",
    }  # fmt: skip
    return json.dumps(envelope).encode()


def requests_of(name: str, count: int, kind: str = "app_mention") -> list[bytes]:
    """So many signed requests, each an event of its own, ready to be sent."""
    now, made = int(time.time()), []
    for number in range(count):
        body = body_of(f"Ev{name}{number}", kind)
        headers = {
            "Host": "gateway",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "Slackbot 1.0",
            "Accept": "*/*",
        } | signed_headers(SECRET, body, now=now)
        head = "POST /slack/events HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        made.append(head.encode() + b"\r\n" + body)
    return made


async def drive(side: Side, requests: list[bytes], in_flight: int) -> Run:
    """Send them all. Raises SystemExit where one is not taken."""
    left, took = iter(requests), list[float]()
    began, cpu_s = time.perf_counter(), side.cpu_s()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(_one_connection(side.port, left, took))
    wall_s, cpu_s = time.perf_counter() - began, side.cpu_s() - cpu_s
    took.sort()
    count = len(took)
    return Run(count / wall_s, 1e3 * took[count // 2], 1e3 * took[int(count * 0.99)], 1e6 * cpu_s / count)


async def _one_connection(port: int, left: Iterator[bytes], took: list[float]) -> None:
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in left:
            sent = time.perf_counter()
            for _ in range(RETRIES):  # as Slack does where the bus was too slow; it counts as one
                writer.write(request)
                async with asyncio.timeout(ANSWER_S):
                    if await _is_taken(reader):
                        break
            else:
                raise SystemExit("an event was not taken")
            took.append(time.perf_counter() - sent)
    finally:
        writer.close()


async def _is_taken(reader: asyncio.StreamReader) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"content-length: " in head:
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
    return head.startswith(b"http/1.1 200")


def fresh_name() -> str:
    """Of a batch: JetStream knows ids for ten minutes."""
    return f"BENCH{time.time_ns()}X"
