"""Slack's rate limits and the large workspace, as a client of the Web API meets them."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running, start
from playground.settings import Settings
from tests.integration.playground.playbox import Control


async def refused(client: AsyncWebClient, channel: str = "C0ENG") -> str:
    with pytest.raises(SlackApiError) as caught:
        await client.conversations_history(channel=channel)
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    return caught.value.response.headers["Retry-After"]


async def test_a_tier_allows_so_many_calls_a_minute_and_other_methods_go_on(
    client: AsyncWebClient, control: Control
) -> None:
    await control("PUT", "limits", {"mode": "slack"})

    for _ in range(50):
        await client.conversations_history(channel="C0ENG", limit=1)

    assert 50 <= int(await refused(client)) <= 60
    assert (await client.conversations_info(channel="C0ENG"))["ok"]
    calls = await control("GET", "calls", name="conversations.history")
    assert [call["count"] for call in calls["calls"]] == [50]
    assert calls["calls"][0]["request"]["channel"] == "C0ENG"
    assert calls["limited"] == {"conversations.history": 1}


async def test_a_faster_clock_lets_calls_through_again_sooner(
    client: AsyncWebClient, control: Control
) -> None:
    await control("PUT", "limits", {"mode": "slack", "clock_scale": 600})
    for _ in range(3):
        for _ in range(50):
            await client.conversations_history(channel="C0ENG", limit=1)
        await asyncio.sleep(0.11)  # a minute of that clock


async def test_a_distributed_app_gets_fifteen_messages_once_a_minute(
    client: AsyncWebClient, control: Control
) -> None:
    await control("PUT", "limits", {"mode": "distributed"})

    page = await client.conversations_history(channel="C0ENG", limit=999)

    assert len(page["messages"]) == 15
    assert page["has_more"]
    assert int(await refused(client)) == 60
    for _ in range(5):
        assert (await client.conversations_list(limit=999))["ok"]


async def test_the_large_workspace_is_as_large_as_asked_and_the_same_each_time(
    http: aiohttp.ClientSession,
) -> None:
    settings = Settings(port=0, bulk_channels=12, bulk_messages=3_000, bulk_threads=150, nats_url=None)
    shapes: list[list[str]] = []
    for _ in range(2):
        running: Running = await start(settings)
        channels = running.workspace.channels.values()
        assert len(channels) == 12
        assert sum(channel.message_count for channel in channels) == 3_000
        roots = [
            message for channel in channels for message in channel.top_level() if "reply_count" in message
        ]
        assert len(roots) == 150
        shapes.append([f"{message['ts']} {message['text']}" for message in roots])
        client = AsyncWebClient(
            token="xoxb-playground-bot", base_url=f"{running.url}/api/", session=http, retry_handlers=[]
        )
        client.proxy = None
        listed = await client.conversations_list(limit=999)
        assert len(listed["channels"]) == 12
        await running.stop()
    assert shapes[0] == shapes[1]
