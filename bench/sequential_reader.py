"""A reader of Slack that does one thing after the other, as the first DoppelBot did; it only reads and keeps nothing.

One channel after the other: join it, page through its history by 200, ask for each thread that a page shows; at a 429
sleep as long as asked, and up to a second more (slack-sdk's own handler does).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.limits import CLOCK_HEADER

PAGE = 200
TOO_MANY_REQUESTS = 429


@dataclass
class SequentialReader:
    """Counts its calls. `scale`: how much faster than Slack's the playground's clock runs."""

    client: AsyncWebClient
    scale: float
    calls: int = 0

    async def read(self, seconds: float) -> float:
        """Read for about so long, or to the end; returns the seconds it took."""
        began = time.monotonic()
        listed = await self._call(lambda: self.client.conversations_list(limit=PAGE))
        for channel in listed["channels"]:
            await self._call(lambda channel=channel: self.client.conversations_join(channel=channel["id"]))
            await self._read_channel(channel["id"], began + seconds)
            if time.monotonic() > began + seconds:
                break
        return time.monotonic() - began

    async def _read_channel(self, channel_id: str, until: float) -> None:
        cursor: str | None = None
        while True:
            page = await self._call(
                lambda cursor=cursor: self.client.conversations_history(
                    channel=channel_id, limit=PAGE, cursor=cursor
                )
            )
            for message in page["messages"]:
                if time.monotonic() > until:
                    return
                if message.get("reply_count"):
                    await self._call(
                        lambda ts=message["ts"]: self.client.conversations_replies(channel=channel_id, ts=ts)
                    )
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    async def _call(self, fetch: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                answer = await fetch()
            except SlackApiError as error:
                if error.response.status_code != TOO_MANY_REQUESTS:
                    raise
                asked_s = float(error.response.headers[CLOCK_HEADER])  # whole seconds of Slack's clock
                await asyncio.sleep((asked_s + random.random()) / self.scale)
            else:
                self.calls += 1
                return answer.data
