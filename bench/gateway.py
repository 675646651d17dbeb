"""make bench-gateway   (ARGS="--share 0.1 --rounds 1" for a quick look; ARGS="--only ack")

ack      how many events a second are taken (signature, JetStream's ack of what is synced to the disk), and how fast:
         the gateway's door beside a bare aiohttp handler and slack-bolt's AsyncApp, turn by turn, all alive all the
         while. Compared are the best of each side's turns, since other work on the machine only ever slows.
memory   a whole gateway that takes 50,000 events and works them off
mention  from a mention to the answer in its thread: two whole gateways, and an engine that answers at once
"""

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import nats.errors

from bench.gateway_traffic import Run, Side, drive, fresh_name, requests_of
from bench.inference_processes import Replica, running
from bench.report import Figures, finish, parser
from doppel.local.home import Home, Ports
from doppel.local.servers import Servers
from doppel.local.supervisor import Supervisor
from playground.state import Change
from tests.integration.gateway.rig import SECRET, Rig, a_port, open_rig
from tests.support.servers import TestServers
from tests.support.waiting import eventually

SIDES: Final = ("gateway", "aiohttp", "bolt")
EVENTS: Final = 6_000
LONG: Final = 50_000
WARM: Final = 10_000
MENTIONS: Final = 100
POSTED_MS: Final = 50.0
GROWTH: Final = 1.05
IDLE_S: Final = 300.0
ANSWER_S: Final = 30.0
QUIET: Final = {
    "DOPPEL_LOG_LEVEL": "WARNING",
    "DOPPEL_REPLIES_A_MINUTE": "100000",
    "DOPPEL_SWEEP_EVERY_S": "1",
    "DOPPEL_CLAIM_TTL_S": "30",
    "DOPPEL_SLACK_TIMEOUT_S": "10",
}


async def ack(servers: TestServers, folder: Path, share: float, rounds: int) -> Figures:
    """The door beside the other two."""
    figures = Figures()
    async with contextlib.AsyncExitStack() as stack:
        sides = {name: await stack.enter_async_context(side(servers, folder, name)) for name in SIDES}
        for in_flight, events in ((1, EVENTS // 10), (32, EVENTS)):
            runs = await turns(servers, sides, in_flight, max(100, int(events * share)), rounds)
            best = {name: max(run.per_s for run in runs[name]) for name in SIDES}
            p99 = {name: min(run.p99_ms for run in runs[name]) for name in SIDES}
            cpu = {name: min(run.cpu_us for run in runs[name]) for name in SIDES}
            for name in SIDES:
                found = f"{best[name]:,.0f}/s, p99 {p99[name]:.1f} ms, {cpu[name]:,.0f} µs of CPU"
                say(f"{in_flight:>2} in flight, {name:<8} {found}")
            figures.most(f"cpu_vs_bolt_at_{in_flight}", cpu["gateway"] / cpu["bolt"], 1.0)
            if in_flight > 1:  # one at a time is the disk's time, and the same for all
                figures.least("acks_vs_bolt", best["gateway"] / best["bolt"], 1.0)
                figures.least("acks_vs_aiohttp", best["gateway"] / best["aiohttp"], 0.5)
                figures.most("p99_vs_bolt", p99["gateway"] / p99["bolt"], 1.1)
    return figures


async def turns(
    servers: TestServers, sides: dict[str, Side], in_flight: int, events: int, rounds: int
) -> dict[str, list[Run]]:
    """Each side once a round, every time another one first. What warms up is not counted."""
    runs: dict[str, list[Run]] = {name: [] for name in SIDES}
    for number in range(rounds + 1):
        first = number % len(SIDES)
        for name in SIDES[first:] + SIDES[:first]:
            await servers.purge()  # nobody works these events off
            run = await drive(sides[name], requests_of(fresh_name(), events if number else 100), in_flight)
            if number:
                runs[name].append(run)
                say(f"  {in_flight:>2} in flight, {name:<8} {run}; load {os.getloadavg()[0]:.1f}")
    return runs


@contextlib.asynccontextmanager
async def side(servers: TestServers, folder: Path, name: str) -> AsyncGenerator[Side]:
    """One way to take events, as a process."""
    port, health = a_port(), a_port()
    environment = servers.environment("gateway") | {
        "DOPPEL_GATEWAY_PORT": str(port),
        "DOPPEL_HEALTH_PORT": str(health),
        "DOPPEL_SLACK_SIGNING_SECRET": SECRET,
        "DOPPEL_LOG_LEVEL": "WARNING",
    }
    looked_at = Replica(0, f"http://127.0.0.1:{health}")
    arguments = ["bench.gateway_sides", name]
    async with running(arguments, environment, folder / f"{name}.log", looked_at.is_ready) as pid:
        yield Side(pid, port)


async def memory(rig: Rig, share: float) -> Figures:
    """Does a gateway grow with what has passed through it?"""
    figures, replica = Figures(), rig.replicas[0]
    assert replica.process is not None
    side = Side(replica.process.pid, replica.port)
    warm, whole = int(WARM * share), int(LONG * share)
    seen: list[float] = []
    done = 0
    while done < whole:
        count = min(warm, whole - done)
        await drive(side, requests_of(fresh_name(), count, "message"), 8)
        await idle(rig)
        done += count
        seen.append(side.own_mb())
        say(f"after {done:,} events: {seen[-1]:.1f} MB")
    figures.most("memory_growth", seen[-1] / seen[0], GROWTH)
    return figures


async def idle(rig: Rig) -> None:
    """Everything taken is worked off."""

    async def nothing_left() -> bool:
        info = await rig.engine.jetstream.consumer_info("SLACK_EVENT", "gateway")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await eventually(nothing_left, what="the events are worked off", within_s=IDLE_S)


async def mention(rig: Rig, share: float) -> Figures:
    """Milliseconds from somebody's message to the answer below it."""
    figures, took = Figures(), list[float]()
    posted: dict[str, asyncio.Event] = {}

    def watch(change: Change) -> None:
        if change.kind == "posted" and change.message.get("bot_id"):
            posted.setdefault(str(change.message.get("thread_ts")), asyncio.Event()).set()

    rig.playground.workspace.observers.append(watch)
    engine = asyncio.ensure_future(answer_at_once(rig))
    try:
        for number in range(max(20, int(MENTIONS * share))):
            began = time.perf_counter()
            said = await rig.workspace.say("bram", "general", f"@doppel question {number}?")
            async with asyncio.timeout(ANSWER_S):
                await posted.setdefault(said["ts"], asyncio.Event()).wait()
            took.append(1000 * (time.perf_counter() - began))
    finally:
        engine.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await engine
    took = sorted(took[5:])  # the first ones open connections
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    say(f"mention to answer: p50 {p50:.1f} ms, p95 {p95:.1f} ms; load {os.getloadavg()[0]:.1f}")
    figures.most("mention_to_posted_ms", p50, POSTED_MS)
    return figures


async def answer_at_once(rig: Rig) -> None:
    """An engine that takes no time."""
    while True:
        try:
            question = await rig.engine.next_question(within_s=ANSWER_S)
        except (nats.errors.TimeoutError, TimeoutError):
            continue
        await rig.engine.answer(question, "It is done.")


async def measure(only: str | None, share: float, rounds: int) -> Figures:
    """All three, or one."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="doppel-bench-") as name:
        folder, home = Path(name), Home(Path(name) / ".doppel")
        home.make()
        async with Supervisor(home) as supervisor:
            servers = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync=True)
            await servers.start()
            await servers.set_up()
            try:
                reached = TestServers(servers)
                if only in (None, "ack"):
                    figures.join(await ack(reached, folder, share, rounds))
                if only != "ack":
                    await reached.clean()
                    async with open_rig(reached, folder, gateway=QUIET) as rig:
                        if only in (None, "memory"):
                            figures.join(await memory(rig, share))
                        if only in (None, "mention"):
                            figures.join(await mention(rig, share))
            finally:
                await servers.stop()
    return figures


def say(line: str) -> None:
    """A line of the table."""
    print(line, flush=True)


def main() -> int:
    """Measure, print the table and the last line."""
    arguments = parser(__doc__)
    arguments.add_argument("--only", choices=["ack", "memory", "mention"])
    arguments.add_argument("--share", type=float, default=1.0, help="of the events")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    return finish(asyncio.run(measure(given.only, given.share, given.rounds)), "gateway")


if __name__ == "__main__":
    raise SystemExit(main())
