"""A playground on a free port and, opposite it, a small gateway that checks signatures."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running, start
from playground.settings import Settings
from tests.integration.playground.playbox import SECRET, Control, Receiver


async def _receiver() -> tuple[Receiver, web.AppRunner]:
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/slack/{name}", receiver.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return receiver, runner


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver, runner = await _receiver()
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def second_receiver() -> AsyncIterator[Receiver]:
    receiver, runner = await _receiver()
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def running(receiver: Receiver) -> AsyncIterator[Running]:
    settings = Settings(
        port=0,
        message_count=400,
        signing_secret=SECRET,  # type: ignore[arg-type]
        gateway_urls=[receiver.url],
        retry_scale=0.001,
        delivery_timeout_s=1.0,
        nats_url=None,
    )
    running = await start(settings)
    yield running
    await running.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def control(running: Running, http: aiohttp.ClientSession) -> Control:
    return Control(running.url, http)


@pytest.fixture
def client(running: Running, http: aiohttp.ClientSession) -> AsyncWebClient:
    client = AsyncWebClient(
        token="xoxb-playground-bot", base_url=f"{running.url}/api/", session=http, retry_handlers=[]
    )
    client.proxy = None
    return client
