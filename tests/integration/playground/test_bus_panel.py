"""The panel watches a real bus, waits for one that is away, and passes on no words."""

import json

import aiohttp
import nats

from playground.app import start
from playground.settings import Settings
from tests.integration.playground.playbox import eventually
from tests.support.servers import TestServers


async def test_what_passes_on_the_bus_reaches_the_page_without_its_text(
    servers: TestServers, http: aiohttp.ClientSession
) -> None:
    running = await start(Settings(port=0, message_count=200, gateway_urls=[], nats_url=servers.nats_url))
    bus = await nats.connect(servers.nats_url)
    try:
        await eventually(lambda: running.bus.stats()["connected"])
        async with http.get(f"{running.url}/playground/stream") as stream:
            await stream.content.readuntil(b"\n\n")
            body = {"request_id": "r-1", "text": "secret", "seq": 3}
            await bus.publish("generate.token.r-1", json.dumps(body).encode())
            frame = await stream.content.readuntil(b"\n\n")
        name, data = frame.decode().strip().split("\n")
        assert name == "event: bus"
        shown = json.loads(data.removeprefix("data: "))
        assert (shown["subject"], shown["request_id"]) == ("generate.token.r-1", "r-1")
        assert "secret" not in data
    finally:
        await bus.close()
        await running.stop()


async def test_the_playground_serves_while_the_bus_is_away(http: aiohttp.ClientSession) -> None:
    settings = Settings(port=0, message_count=200, gateway_urls=[], nats_url="nats://127.0.0.1:9")
    running = await start(settings)
    try:
        async with http.get(f"{running.url}/playground/stats") as answer:
            assert (await answer.json())["bus"] == {"configured": True, "connected": False, "messages": 0}
    finally:
        await running.stop()
