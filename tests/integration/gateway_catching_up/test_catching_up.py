"""Nobody listens for longer than Slack retries: what was said meanwhile is found and answered, once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp

from tests.integration.gateway.rig import Rig
from tests.support.servers import frozen
from tests.support.waiting import eventually

OUTAGE_S = 6.5  # a bit more than ten minutes


@contextlib.asynccontextmanager
async def an_outage(rig: Rig) -> AsyncGenerator[None]:
    """Both replicas are killed, and started at the same time afterwards."""
    for replica in rig.replicas:
        await replica.stop(signal.SIGKILL)
    yield
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        await asyncio.gather(*(replica.start(http) for replica in rig.replicas))


async def silent_for(rig: Rig, seconds: float) -> None:
    async def so_long() -> bool:
        row = await rig.row("select extract(epoch from now() - heard_at) as s from gateway.listening")
        return row["s"] > seconds

    await eventually(so_long, what="the outage is long", within_s=seconds + 20)


async def given_up(rig: Rig, asked: Sequence[dict[str, Any]]) -> None:
    ids = {event_id for each in asked for event_id in each["event_ids"]}

    async def done() -> bool:
        events = (await rig.workspace.ask("GET", "events"))["events"]
        return all(each["settled"] == "failed" for each in events if each["event_id"] in ids)

    await eventually(done, what="Slack has given up", within_s=30)


async def answer(rig: Rig, words: str, text: str) -> None:
    await rig.engine.answer(await rig.engine.question_about(words, within_s=30), text)


async def caught_up(rig: Rig) -> None:
    async def none_left() -> bool:
        listening = await rig.row("select now() - heard_at < interval '1 s' as ok from gateway.listening")
        row = await rig.row("select count(*) as n from gateway.catch_ups")
        return listening["ok"] and row["n"] == 0

    await eventually(none_left, what="everything was read", within_s=60)


async def test_mentions_of_ten_minutes_without_us_are_answered_once_and_say_how_late(rig: Rig) -> None:
    heard = await rig.workspace.say("bram", "general", "@doppel before the storm?")
    await answer(rig, "before the storm", "Calm.")
    await rig.workspace.reply("general", heard["ts"], within_s=15)
    async with an_outage(rig):
        asked = [
            await rig.workspace.say("bram", "general", "@doppel first in the storm?"),
            await rig.workspace.say("dev", "general", "@doppel below the calm?", thread_ts=heard["ts"]),
            await rig.workspace.say("elena", "eng", "@doppel third in the storm?"),
        ]
        await rig.workspace.say("finn", "general", "nobody is asked here")
        await given_up(rig, asked)
        await silent_for(rig, OUTAGE_S)
    questions = [await rig.engine.next_question(within_s=40) for _ in asked]
    assert await rig.engine.is_idle(), "something was asked twice, or nobody's word was taken for a question"
    for question in questions:
        await rig.engine.answer(question, "Wet.")
    places = [("general", asked[0]["ts"]), ("general", heard["ts"]), ("eng", asked[2]["ts"])]
    for (channel, thread_ts), count in zip(places, (1, 2, 1), strict=True):

        async def said(channel: str = channel, thread_ts: str = thread_ts, count: int = count) -> Any:
            found = await rig.replies(channel, thread_ts)
            return found if len(found) >= count else None

        found = await eventually(said, what=f"the answer in {channel}", within_s=30)
        assert len(found) == count
        assert "Wet." in found[-1]["text"]
        assert "late" in str(found[-1])
    await caught_up(rig)
    await rig.settled()
    assert await rig.engine.is_idle()


async def test_a_bus_that_is_away_for_long_is_an_outage_too(rig: Rig) -> None:
    with frozen(rig.servers.running.supervisor, "nats"):
        asked = await rig.workspace.say("bram", "general", "@doppel who froze the bus?")
        await given_up(rig, [asked])
        await silent_for(rig, 3.0)
    await answer(rig, "who froze", "Winter.")
    await rig.workspace.reply("general", asked["ts"], within_s=60)
    await caught_up(rig)
    await rig.settled()
    assert len(await rig.replies("general", asked["ts"])) == 1


async def test_a_reader_that_is_killed_or_told_to_wait_goes_on(rig: Rig) -> None:
    async with an_outage(rig):
        asked = [await rig.workspace.say("dev", "eng", f"@doppel buoy {n}?") for n in range(3)]
        await given_up(rig, asked)
        await silent_for(rig, 3.0)
        await rig.workspace.fault("conversations.history", "ratelimited", count=2, retry_after=1)
        await rig.workspace.fault("users.conversations", "error", count=1, error="internal_error")
    for _ in asked:
        await answer(rig, "buoy", "Red.")
    for each in asked:
        await rig.workspace.reply("eng", each["ts"], within_s=60)
    await rig.settled()
    assert {len(await rig.replies("eng", each["ts"])) for each in asked} == {1}


async def test_a_short_absence_reads_nothing(rig: Rig) -> None:
    await caught_up(rig)
    before = await rig.row("select coalesce(sum(fence), 0) as n from gateway.catch_ups")
    await rig.replicas[0].stop()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        await rig.replicas[0].start(http)  # the other one listened
    after = await rig.row("select count(*) as n from gateway.catch_ups")
    assert (before["n"], after["n"]) == (0, 0)
    logs = [replica.log.read_text() for replica in rig.replicas]
    assert any("caught up" in log for log in logs)
