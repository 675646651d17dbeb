"""Socket Mode with the SDK's own client."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from playground.app import Running
from tests.integration.playground.playbox import Control, Receiver, eventually


class Listener:
    """Keeps what came and acks all but the first `ignored`."""

    def __init__(self, client: SocketModeClient) -> None:
        self.client = client
        self.seen: list[SocketModeRequest] = []
        self.ignored = 0

    async def __call__(self, _: object, request: SocketModeRequest) -> None:
        self.seen.append(request)
        if len(self.seen) <= self.ignored:
            return
        payload = {"text": "over the socket"} if request.type == "slash_commands" else None
        await self.client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))


@pytest.fixture
async def listener(running: Running) -> AsyncIterator[Listener]:
    web_client = AsyncWebClient(token="xoxb-playground-bot", base_url=f"{running.url}/api/")
    web_client.proxy = None
    client = SocketModeClient(app_token="xapp-playground-app", web_client=web_client, ping_interval=1)
    client.proxy = None
    listener = Listener(client)
    client.socket_mode_request_listeners.append(listener)
    await client.connect()
    await eventually(lambda: len(running.sockets) == 1)
    yield listener
    await client.close()


async def test_events_and_commands_come_over_the_socket(
    listener: Listener, control: Control, receiver: Receiver
) -> None:
    await control.post("messages", user="bram", channel="general", text="@doppel hello")
    await control.post("drain")
    ran = await control.post("commands", user="bram", channel="general", text="help")
    assert [request.type for request in listener.seen] == ["events_api", "slash_commands"]
    assert listener.seen[0].payload["event"]["type"] == "app_mention"
    assert ran["response"]["text"] == "over the socket"
    assert receiver.requests == []


async def test_what_is_not_acked_comes_again(listener: Listener, control: Control) -> None:
    listener.ignored = 1
    await control.post("messages", user="bram", channel="general", text="@doppel hello")
    await control.post("drain")
    assert [request.retry_attempt for request in listener.seen] == [0, 1]
    assert len({request.payload["event_id"] for request in listener.seen}) == 1


async def test_the_client_comes_back_after_a_disconnect(
    listener: Listener, control: Control, running: Running
) -> None:
    await control.post("sockets/disconnect")
    await eventually(lambda: len(running.sockets) == 0)
    await eventually(lambda: len(running.sockets) == 1, timeout_s=10)
    await control.post("messages", user="bram", channel="general", text="@doppel again")
    await eventually(lambda: listener.seen)


async def test_a_ticket_opens_one_socket(client: AsyncWebClient, http: aiohttp.ClientSession) -> None:
    opened = await client.apps_connections_open(app_token="xapp-playground-app")
    async with http.ws_connect(opened["url"]) as socket:
        assert (await socket.receive_json(timeout=5))["type"] == "hello"
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(opened["url"])
