"""python -m bench.scraper_api   (--scale 600 for a quick look)

Reading a large workspace (100 channels, 100,000 messages, 6,000 threads) through Slack's API: the playground keeps
Slack's rate limits on a clock that runs `--scale` times faster, the scraper keeps to 80 % of them on the same clock.

1. Wall time beside the bound that those limits imply at our share, requests beside the fewest that get everything.
2. A reader that does one thing after the other, held to the same share of the limits: a part of the same workspace,
   extrapolated by the number of calls. One method is the bottleneck of both, so that the best there is to reach is a
   little over 1; that one only reads, ours also stores each answer, sorts, hashes and uploads: hence the goal of
   0.9, the same tenth as above.
3. A scraper killed half-way (SIGKILL) and started again: requests made twice, and the hash of what came out.
"""

import asyncio
import math
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slack_sdk.web.async_client import AsyncWebClient

from bench.api_world import TOKEN, Finished, World, end, opened
from bench.report import Figures, finish, parser
from bench.sequential_reader import PAGE, SequentialReader
from playground.bulk import Size, make_bulk
from playground.channel import Channel
from playground.model import BOT_USER_ID
from playground.settings import DEFAULT_NOW
from services.scraper.core.budget import HISTORY, REPLIES, SHARE, floor_s, page_size

SIZE: Final = Size(channels=100, messages=100_000, threads=6_000)
SEED: Final = 7
SEQUENTIAL_S: Final = 45.0
SLACK_S: Final = 120.0  # a run may take so much longer than its bound before it counts as hanging


@dataclass(frozen=True)
class Need:
    """The fewest requests that read everything, by method."""

    calls: dict[str, int]
    sequential: int  # calls of a reader with pages of 200

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.calls.values())

    def bound_s(self, scale: float) -> float:
        """What the slowest method takes at our share. Methods are limited apart, so they go side by side; what comes
        before the first thread can be asked for (lists, one join, one page) is three round trips: left out."""
        return max(count * floor_s(method, scale) for method, count in self.calls.items())


def need_of(size: Size) -> Need:
    """Counted on the same workspace."""
    seed = make_bulk(SEED, size, now=DEFAULT_NOW, team_id="T0DOPPEL", app_id="A0DOPPEL")
    calls = Counter({"users.list": 1, "conversations.list": math.ceil(size.channels / 999)})
    sequential = 1 + size.channels
    for each in seed.channels:
        channel = Channel(each)
        shown = list(channel.top_level())
        threads = sum(1 for message in shown if message.get("reply_count"))
        calls["conversations.join"] += BOT_USER_ID not in channel.members
        calls[HISTORY] += max(1, math.ceil(len(shown) / page_size(HISTORY)))
        calls[REPLIES] += threads
        sequential += max(1, math.ceil(len(shown) / PAGE)) + threads
    return Need(dict(calls), sequential)


async def measure(scale: float, size: Size = SIZE) -> Figures:
    """All three parts."""
    need, figures = need_of(size), Figures()
    bound_s = need.bound_s(scale)
    say(
        f"{size.channels} channels, {size.messages:,} messages, {size.threads:,} threads; clock {scale:g} x Slack's"
    )
    say(f"fewest requests {need.total} {need.calls}; bound at {SHARE:.0%} of the limits {bound_s:.1f} s")
    async with opened(scale, size) as world:
        whole = await undisturbed(world, bound_s)
        made = await world.calls()
        requests = sum(call["count"] for call in made)
        limited = (await world.ask_slack("GET", "calls"))["limited"]
        say(f"read in {whole.wall_s:.1f} s with {requests} requests; told to wait: {limited or 'never'}")
        say(f"forecasts: {forecasts(whole)}")
        figures.most("api_wall_vs_bound", whole.wall_s / bound_s, 1.10)
        figures.most("api_requests_vs_minimum", requests / need.total, 1.02)
        sequential_s = await beside(world, need)
        say(
            f"one call after the other: {sequential_s:.1f} s at the same share; "
            f"taking the whole limit, and leaving the gateway nothing, {sequential_s * SHARE:.1f} s"
        )
        figures.least("api_speedup_vs_sequential", sequential_s / whole.wall_s, 0.9)
        await killed(world, whole, bound_s, need, figures)
    return figures


async def undisturbed(world: World, bound_s: float) -> Finished:
    """From the request to the result."""
    scraper = await world.scraper()
    try:
        began = time.monotonic()
        request_id = await world.ask()
        finished = await world.finished(request_id, began, bound_s * 2 + SLACK_S)
        say(
            f"the scraper's processor time {cpu_s(scraper.pid):.1f} s; load of the machine {os.getloadavg()[0]:.1f}"
        )
    finally:
        await end(scraper)
    assert finished.result.error is None, finished.result.error
    return finished


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def beside(world: World, need: Need) -> float:
    """Seconds that the sequential reader needs for everything, from what it did in a part of it."""
    await world.reset()
    slowed = world.scale * SHARE  # the same limits as a reader has that leaves a fifth of them
    await world.ask_slack("PUT", "limits", mode="slack", clock_scale=slowed)
    client = AsyncWebClient(
        token=TOKEN, base_url=f"{world.slack_url}/api/", session=world.http, retry_handlers=[]
    )
    client.proxy = None
    reader = SequentialReader(client, slowed)
    took_s = await reader.read(SEQUENTIAL_S)
    await world.ask_slack("PUT", "limits", mode="slack", clock_scale=world.scale)
    say(f"sequential: {reader.calls} calls in {took_s:.1f} s, of {need.sequential}")
    return took_s * need.sequential / reader.calls


async def killed(world: World, whole: Finished, bound_s: float, need: Need, figures: Figures) -> None:
    """The same again, with a kill -9 half-way."""
    await world.reset()
    scraper = await world.scraper()
    began = time.monotonic()
    request_id = await world.ask()
    while count(await world.calls(), REPLIES) < need.calls[REPLIES] // 2:
        assert scraper.returncode is None
        assert time.monotonic() < began + bound_s * 2 + SLACK_S
        await asyncio.sleep(0.5)
    scraper.kill()
    await scraper.wait()
    before = sum(call["count"] for call in await world.calls())
    scraper = await world.scraper()
    try:
        finished = await world.finished(request_id, began, bound_s * 2 + SLACK_S)
    finally:
        await end(scraper)
    assert finished.result.error is None, finished.result.error
    repeated = repeated_by_channel(await world.calls())
    say(
        f"killed after {before} requests; done {finished.wall_s:.1f} s after it began; repeated: "
        f"{sum(repeated.values())} requests in {len(repeated)} channels"
    )
    same = await world.content_sha256(whole.result.corpus_id) == await world.content_sha256(
        finished.result.corpus_id
    )
    figures.most("repeated_requests_per_channel_max", max(repeated.values(), default=0), 2)
    figures.least("same_hash_after_kill", float(same), 1.0)


def count(calls: list[dict[str, Any]], method: str) -> int:
    """Answered calls of one method."""
    return sum(call["count"] for call in calls if call["name"] == method)


def repeated_by_channel(calls: list[dict[str, Any]]) -> Counter[str]:
    """Channel → how many of its requests were made again."""
    found: Counter[str] = Counter()
    for call in calls:
        if call["count"] > 1 and "channel" in call["request"]:
            found[call["request"]["channel"]] += call["count"] - 1
    return found


def forecasts(finished: Finished) -> str:
    """What `scrape.progress` said remained at a tenth, a half and nine tenths of its messages."""
    reading = [each for each in finished.progress if each.stage == "reading" and each.eta_s is not None]
    if not reading:
        return "none"
    told = [reading[int(len(reading) * share)] for share in (0.1, 0.5, 0.9)]
    return ", ".join(f"{each.eta_s:.0f} s after {each.requests} requests" for each in told)


def say(text: str) -> None:
    """A line for the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(scale: float) -> Figures:
    """For `make bench-scraper`."""
    return asyncio.run(measure(scale))


def main() -> int:
    """Measure, and end with one JSON object."""
    arguments = parser(__doc__)
    arguments.add_argument("--scale", type=float, default=60.0, help="how many times faster the clock runs")
    for name, value in (("channels", SIZE.channels), ("messages", SIZE.messages), ("threads", SIZE.threads)):
        arguments.add_argument(f"--{name}", type=int, default=value)
    args = arguments.parse_args()
    figures = asyncio.run(measure(args.scale, Size(args.channels, args.messages, args.threads)))
    return finish(figures, "scraper_api")


if __name__ == "__main__":
    sys.exit(main())
