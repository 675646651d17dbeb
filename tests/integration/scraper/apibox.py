"""The playground as the Slack of these tests: its switches, its calls, its clock."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp

from playground.app import Running
from playground.channel import Channel, now_us, ts_of
from proto.scrape import ScrapeResult
from tests.integration.scraper.desk import Desk

DAY_US = 86_400_000_000


@dataclass
class Workspace:
    """What people do in it, and what was asked of it."""

    slack: Running

    async def control(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """The playground's control API."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.slack.url}/playground/{path}", json=body or None) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def forget_calls(self) -> None:
        """Count from here on."""
        await self.control("DELETE", "history")

    async def calls(self, name: str) -> list[dict[str, Any]]:
        """Answered calls of one method, with their arguments."""
        return (await self.control("GET", f"calls?name={name}"))["calls"]

    async def asked(self, name: str) -> Counter[str]:
        """Channel → answered calls of one method."""
        found: Counter[str] = Counter()
        for call in await self.calls(name):
            found[call["request"]["channel"]] += call["count"]
        return found

    def channel(self, name: str) -> Channel:
        """By name."""
        found = self.slack.workspace.find_channel(name)
        assert found is not None
        return found

    def say(self, channel: str, text: str, *, days_ago: float = 0.0, under: str | None = None) -> str:
        """Somebody wrote that, so long ago; returns the ts."""
        here = self.channel(channel)
        at_us = now_us() - round(days_ago * DAY_US)
        while here.get(ts_of(at_us)) is not None:
            at_us += 1
        message = {"type": "message", "user": "U0ADA", "text": text, "ts": ts_of(at_us), "client_msg_id": "x"}
        here.insert(message if under is None else message | {"thread_ts": under})
        return ts_of(at_us)

    def edit(self, channel: str, ts: str, text: str) -> None:
        """They changed it."""
        here = self.channel(channel)
        self.slack.workspace.change(here, ts, {"text": text}, edited_by="U0ADA")

    def truth(self) -> set[tuple[str, str, str]]:
        """(channel, ts, text) of whatever is somebody's words in a public channel now."""
        return {
            (channel.id, message["ts"], message["text"])
            for channel in self.slack.workspace.channels.values()
            if channel.kind == "public"
            for message in channel.everything()
            if message.get("subtype") not in ("channel_join", "tombstone")
        }


async def read(desk: Desk, **fields: Any) -> ScrapeResult:
    """One scrape through the API."""
    result = await desk.result(await desk.ask("api", **fields))
    assert result.error is None, result.error
    return result


async def keys(desk: Desk, result: ScrapeResult) -> set[tuple[str, str]]:
    """(channel, ts) of the corpus."""
    _, _, messages = await desk.corpus(result)
    return {(message.channel_id, message.ts) for message in messages}
