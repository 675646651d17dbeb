"""python -m bench.gateway_sides gateway|aiohttp|bolt

One way to take Slack's events, in a process of its own: signature, publish to JetStream, 200 after its ack.

gateway   the gateway's own door, without its worker
aiohttp   a bare handler: what no framework can do faster
bolt      slack-bolt's AsyncApp, whose listener publishes before the answer
"""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from aiohttp import web
from nats.js import JetStreamContext
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from doppel.bus import connect
from doppel.bus.broker import jetstream_of, open_client
from doppel.lifecycle import Lifecycle, run
from proto.subjects import SLACK_EVENT
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.adapters.signature import is_signed
from services.gateway.settings import GatewaySettings
from services.gateway.ways_in import door, make_reception, make_web
from tests.integration.gateway.rig import SECRET

PUBLISH_S: Final = 5.0
Publish = Callable[[bytes, str], Awaitable[None]]


async def gateway(lifecycle: Lifecycle) -> None:
    """The door as the gateway puts it together."""
    settings = lifecycle.settings
    assert isinstance(settings, GatewaySettings)
    async with aiohttp.ClientSession() as session, connect(lifecycle, settings) as connection:
        urls = ResponseUrls(session, settings.slack_api_url)
        reception = make_reception(lifecycle, connection.bus, urls)
        async with door(settings, lifecycle, make_web(settings, reception, None)):
            lifecycle.ready()
            await lifecycle.stopping()


def publisher(jetstream: JetStreamContext) -> Publish:
    """The least that does the same: one message under the event's id, acknowledged."""

    async def publish(body: bytes, event_id: str) -> None:
        headers = {"Nats-Msg-Id": f"{SLACK_EVENT.name}/{event_id}"}
        await jetstream.publish(
            SLACK_EVENT.name, body, timeout=PUBLISH_S, stream=SLACK_EVENT.stream, headers=headers
        )

    return publish


def bare(publish: Publish) -> web.Application:
    """Nothing but aiohttp."""

    async def events(request: web.Request) -> web.Response:
        raw = await request.read()
        times, signatures = (
            request.headers.getall(name, []) for name in ("X-Slack-Request-Timestamp", "X-Slack-Signature")
        )
        if not is_signed(SECRET, raw, timestamps=times, signatures=signatures, now_s=time.time()):
            return web.Response(status=401)
        await publish(raw, json.loads(raw)["event_id"])
        return web.Response()

    application = web.Application()
    application.router.add_post("/slack/events", events)
    return application


def bolt(publish: Publish) -> web.Application:
    """As Bolt's documentation has it; who is authorised is known beforehand, so that it calls nobody."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id="T0DOPPEL", bot_token="xoxb-bench", bot_id="B0DOPPEL", bot_user_id="U0DOPPEL"
        )  # fmt: skip

    app = AsyncApp(signing_secret=SECRET, authorize=authorize, process_before_response=True)

    @app.event("app_mention")
    async def mention(body: dict[str, Any]) -> None:
        await publish(json.dumps(body).encode(), str(body["event_id"]))

    assert mention
    return app.web_app("/slack/events")


async def other(make: Callable[[Publish], web.Application], lifecycle: Lifecycle) -> None:
    """Serve one of the two, on the same port that the gateway would have."""
    settings = lifecycle.settings
    assert isinstance(settings, GatewaySettings)
    client = await open_client(settings, user=lifecycle.service)
    runner = web.AppRunner(make(publisher(jetstream_of(client))), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.gateway_host, settings.gateway_port).start()
        lifecycle.ready()
        await lifecycle.stopping()
    finally:
        await runner.cleanup()
        await client.close()


SIDES: Final = {
    "gateway": gateway,
    "aiohttp": lambda lifecycle: other(bare, lifecycle),
    "bolt": lambda lifecycle: other(bolt, lifecycle),
}

if __name__ == "__main__":
    raise SystemExit(run("gateway", GatewaySettings.read, SIDES[sys.argv[1]]))
