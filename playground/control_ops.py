"""The control API's other half: deliveries, faults, journal, stream."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import Field

from playground.api.call import ApiError
from playground.box import Box
from playground.buswatch import BusWatch
from playground.control import Body, answer
from playground.deliver import Deliverer
from playground.events import envelope
from playground.faults import Fault
from playground.limits import Mode
from playground.settings import EventName
from playground.signing import Signature
from playground.sockets import SocketServer

# Comments keep proxies and browsers from giving up on a quiet stream.
STREAM_BEAT_S = 15.0


class Redeliver(Body):
    event_id: str
    times: int = Field(default=1, ge=1, le=100)
    gateway: int | str | None = None
    concurrent: bool = True


class Raw(Body):
    path: str = Field(pattern=r"^/")
    json_: Any = Field(default=None, alias="json")
    body: str | None = None
    form: dict[str, str] | None = None
    gateway: int | str | None = None
    signature: Signature = "good"
    headers: dict[str, str] = Field(default={})


class RateLimits(Body):
    mode: Mode
    clock_scale: float = Field(default=1.0, gt=0)


class Gateways(Body):
    urls: list[str]


class Subscribe(Body):
    events: list[EventName]


class RevokeToken(Body):
    token: Literal["bot", "app"] = "bot"  # noqa: S105  which one, not the token
    restore: bool = False


class Disconnect(Body):
    reason: Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"] = (
        "refresh_requested"
    )
    close: bool = True


class Drain(Body):
    timeout_s: float = Field(default=30, gt=0, le=600)


@dataclass(frozen=True)
class Operations:
    """What is done to the playground rather than in it."""

    box: Box
    deliverer: Deliverer
    sockets: SocketServer
    bus: BusWatch

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.post("/playground/redeliver", self.redeliver),
            web.post("/playground/raw", self.raw),
            web.get("/playground/events", self.events),
            web.get("/playground/faults", self.faults),
            web.post("/playground/faults", self.add_fault),
            web.delete("/playground/faults", self.clear_faults),
            web.get("/playground/history", self.history),
            web.delete("/playground/history", self.clear_history),
            web.get("/playground/calls", self.calls),
            web.get("/playground/limits", self.limits),
            web.put("/playground/limits", self.set_limits),
            web.get("/playground/stats", self.stats),
            web.get("/playground/gateways", self.gateways),
            web.put("/playground/gateways", self.set_gateways),
            web.post("/playground/subscribe", self.subscribe),
            web.post("/playground/tokens/revoke", self.revoke_token),
            web.post("/playground/sockets/disconnect", self.disconnect),
            web.post("/playground/drain", self.drain),
            web.post("/playground/reset", self.reset),
            web.get("/playground/stream", self.stream),
        ]

    def _gateway(self, named: int | str | None) -> str | None:
        if named is None or isinstance(named, str):
            return None if named is None else named.rstrip("/")
        if not 0 <= named < len(self.box.gateway_urls):
            raise ApiError("gateway_not_found")
        return self.box.gateway_urls[named]

    async def redeliver(self, request: web.Request) -> web.Response:
        """The same event again."""
        body = Redeliver.model_validate_json(await request.read())
        delivery = self.deliverer.deliveries.get(body.event_id)
        if delivery is None:
            raise ApiError("event_not_found")
        attempts = await self.deliverer.redeliver(
            delivery, body.times, self._gateway(body.gateway), concurrent=body.concurrent
        )
        return answer(statuses=[attempt.status for attempt in attempts])

    async def raw(self, request: web.Request) -> web.Response:
        """Any request to a gateway. An `event` alone becomes an envelope with ids of its own."""
        body = Raw.model_validate_json(await request.read())
        if body.form is not None:
            content_type = "application/x-www-form-urlencoded"
            data = urlencode(body.form).encode()
        elif body.body is not None:
            content_type, data = "application/json", body.body.encode()
        else:
            content: Any = body.json_
            if isinstance(content, dict) and set(content) == {"event"}:
                content = envelope(self.box, content["event"])
            content_type, data = "application/json", json.dumps(content, ensure_ascii=False).encode()
        attempt = await self.deliverer.post(
            body.path, data, content_type, body.headers, body.signature, self._gateway(body.gateway)
        )
        return answer(status=attempt.status, error=attempt.error, body=attempt.body, gateway=attempt.gateway)

    async def events(self, request: web.Request) -> web.Response:
        """Events sent, with their attempts."""
        channel, kind = request.query.get("channel"), request.query.get("type")
        found = [
            delivery.shown()
            for delivery in self.deliverer.deliveries.values()
            if channel in (None, delivery.envelope["event"].get("channel"))
            and kind in (None, delivery.envelope["event"].get("type"))
        ]
        return answer(events=found)

    async def faults(self, _: web.Request) -> web.Response:
        """Switches that are set."""
        return answer(faults=self.box.faults.listing())

    async def add_fault(self, request: web.Request) -> web.Response:
        """Set one."""
        fault = Fault.model_validate_json(await request.read())
        try:
            return answer(fault=self.box.faults.add(fault).model_dump())
        except ValueError as error:
            raise ApiError("invalid_request", detail=str(error)) from error

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Clear all, or one."""
        fault_id = request.query.get("id")
        self.box.faults.clear(None if fault_id is None else int(fault_id) if fault_id.isdigit() else -1)
        return answer()

    async def history(self, request: web.Request) -> web.Response:
        """The journal as JSON lines."""
        since = request.query.get("since", "0")
        lines = self.box.journal.lines(
            direction=request.query.get("direction"),
            name=request.query.get("name"),
            since=int(since) if since.isdigit() else 0,
        )
        return web.Response(text=lines, content_type="application/x-ndjson")

    async def clear_history(self, _: web.Request) -> web.Response:
        """Forget the journal."""
        self.box.journal.clear()
        return answer()

    async def calls(self, request: web.Request) -> web.Response:
        """Web API calls that were answered, counted by method and arguments; and those told to wait."""
        journal = self.box.journal
        return answer(calls=journal.answered(request.query.get("name")), limited=dict(journal.limited))

    async def limits(self, _: web.Request) -> web.Response:
        """The rate limits in force."""
        return answer(mode=self.box.limits.mode, clock_scale=self.box.limits.scale)

    async def set_limits(self, request: web.Request) -> web.Response:
        """Others from now on."""
        body = RateLimits.model_validate_json(await request.read())
        self.box.limits.set(body.mode, body.clock_scale)
        return answer(mode=body.mode, clock_scale=body.clock_scale)

    async def stats(self, _: web.Request) -> web.Response:
        """Counts."""
        calls = dict(self.box.journal.calls)
        deliveries = {
            "attempts": self.deliverer.attempt_count,
            "accepted": self.deliverer.accepted_count,
            "failed": self.deliverer.failed_count,
            "pending": self.deliverer.pending,
        }
        bot_id = self.box.workspace.app.bot_id
        posts = sum(
            message.get("bot_id") == bot_id
            for channel in self.box.workspace.channels.values()
            for message in channel.everything()
        )
        return answer(
            messages=self.box.workspace.counts(),
            posts_by_bot=posts,
            updates_by_bot=calls.get("chat.update", 0),
            calls=calls,
            deliveries=deliveries,
            sockets=len(self.sockets),
            bus=self.bus.stats(),
        )

    async def gateways(self, _: web.Request) -> web.Response:
        """Where deliveries go."""
        return answer(urls=self.box.gateway_urls)

    async def set_gateways(self, request: web.Request) -> web.Response:
        """Where they go from now on."""
        body = Gateways.model_validate_json(await request.read())
        self.box.gateway_urls[:] = [url.rstrip("/") for url in body.urls]
        return answer(urls=self.box.gateway_urls)

    async def subscribe(self, request: web.Request) -> web.Response:
        """Which bot events go out."""
        body = Subscribe.model_validate_json(await request.read())
        self.box.subscribed.clear()
        self.box.subscribed.update(body.events)
        return answer(events=sorted(self.box.subscribed))

    async def revoke_token(self, request: web.Request) -> web.Response:
        """A token dies, or lives again."""
        body = RevokeToken.model_validate_json(await request.read() or b"{}")
        settings = self.box.settings
        token = (settings.bot_token if body.token == "bot" else settings.app_token).get_secret_value()  # noqa: S105  a choice, no secret
        if body.restore:
            self.box.revoked.discard(token)
            return answer()
        self.box.revoked.add(token)
        if body.token == "app":  # noqa: S105
            return answer()
        tokens = {"oauth": [], "bot": [self.box.workspace.app.user_id]}
        return answer(event_id=self.deliverer.send_event({"type": "tokens_revoked", "tokens": tokens}))

    async def disconnect(self, request: web.Request) -> web.Response:
        """Disconnect frames to all sockets."""
        body = Disconnect.model_validate_json(await request.read() or b"{}")
        return answer(sockets=await self.sockets.disconnect(body.reason, close=body.close))

    async def drain(self, request: web.Request) -> web.Response:
        """Wait for deliveries under way."""
        body = Drain.model_validate_json(await request.read() or b"{}")
        return answer(drained=await self.deliverer.drained(body.timeout_s))

    async def reset(self, _: web.Request) -> web.Response:
        """Begin again from the seed."""
        self.box.reset()
        self.deliverer.deliveries.clear()
        return answer()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events, until the page or the playground goes."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        with self.box.hub.watch() as frames:
            await response.write(b"event: hello\ndata: {}\n\n")
            while True:
                try:
                    async with asyncio.timeout(STREAM_BEAT_S):
                        frame = await frames.get()
                except TimeoutError:
                    frame = b": beat\n\n"
                if frame is None:
                    return response
                try:
                    await response.write(frame)
                except ConnectionError:  # the page is gone
                    return response
