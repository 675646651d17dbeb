"""The door to Slack: raw bytes once, signature, publish, and 200 only after JetStream's ack."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import nats.errors
import nats.js.errors
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from doppel.bus import Bus
from proto.slack import SlackEvent, SlashCommand
from proto.subjects import SLACK_EVENT
from services.gateway.adapters.avatars import Avatars
from services.gateway.adapters.signature import is_signed
from services.gateway.core import commands, intake

log = logging.getLogger(__name__)

BODY_S: Final = 2.5
CHUNK_BYTES: Final = 64 * 1024
PUBLISH_S: Final = 1.8  # Slack waits three seconds; the rest is the way
SORRY: Final = "I can't take that right now. Please try again in a minute."
_BUS_AWAY: Final = (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error)
_AVATAR: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Web:
    """Slack's three addresses, and the personas' pictures."""

    def __init__(
        self,
        bus: Bus,
        avatars: Avatars,
        registry: CollectorRegistry,
        *,
        secret: str | None,
        body_limit_bytes: int,
        say: Callable[[SlackEvent, str], None],
    ) -> None:
        self._bus = bus
        self._avatars = avatars
        self._secret = secret
        self._limit = body_limit_bytes
        self._say = say
        self._deliveries = Counter(
            "doppel_slack_deliveries", "Requests from Slack.", ["kind", "status"], registry=registry
        )

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/slack/events", self.events),
                web.post("/slack/commands", self.commands),
                web.get("/slack/commands", _ssl_check),
                web.post("/slack/interactivity", self.interactivity),
                web.get("/avatars/{key}.png", self.avatar),
            ]
        )
        return app

    async def events(self, request: web.Request) -> web.Response:
        """Events API: 503 while the bus is away, so that Slack retries."""
        return self._count("event", await self._refusable(self._events(request)))

    async def commands(self, request: web.Request) -> web.Response:
        """Slash commands: answered at once with one short sentence that only the asker sees."""
        return self._count("command", await self._refusable(self._commands(request)))

    async def interactivity(self, request: web.Request) -> web.Response:
        """Buttons: never retried by Slack, so always 200."""
        return self._count("interaction", await self._refusable(self._interactivity(request)))

    async def _events(self, request: web.Request) -> web.Response:
        body = intake.parse_json(await self._signed(request))
        if body.get("type") == "url_verification":
            return web.json_response({"challenge": str(body.get("challenge", ""))})
        if body.get("type") == "app_rate_limited":
            log.warning("Slack sends fewer events", extra={"team_id": str(body.get("team_id"))[:32]})
            return web.Response()
        if body.get("type") not in {"event_callback", None}:
            raise intake.NotUnderstood("unknown type")
        published = await self._publish(intake.event_of(body, datetime.now(UTC)))
        return web.Response(status=200 if published else 503)

    async def _commands(self, request: web.Request) -> web.Response:
        form = intake.parse_form(await self._signed(request, may_be_check=True))
        if "ssl_check" in form:
            return web.Response()
        event = intake.command_of(form, datetime.now(UTC))
        published = await self._publish(event)
        assert isinstance(event.payload, SlashCommand)
        command = commands.parse(event.payload.text)
        text = commands.first_answer(command, event.payload.team_id) if published else SORRY
        return web.json_response({"response_type": "ephemeral", "text": text})

    async def _interactivity(self, request: web.Request) -> web.Response:
        form = intake.parse_form(await self._signed(request))
        event = intake.interaction_of(form, datetime.now(UTC))
        if not await self._publish(event):
            self._say(event, SORRY)
        return web.Response()

    async def _signed(self, request: web.Request, *, may_be_check: bool = False) -> bytes:
        """The raw body, read once and never past the limit. Raises Refused."""
        if (request.content_length or 0) > self._limit:
            raise Refused(413)
        raw = await self._body(request)
        if may_be_check and raw.startswith(b"ssl_check=1"):  # sent unsigned, asks for nothing
            return b"ssl_check=1"
        headers = request.headers
        if self._secret is None or not is_signed(
            self._secret,
            raw,
            timestamps=headers.getall("X-Slack-Request-Timestamp", []),
            signatures=headers.getall("X-Slack-Signature", []),
            now_s=time.time(),
        ):
            raise Refused(401)
        return raw

    async def _body(self, request: web.Request) -> bytes:
        """Raises Refused past the limit, or where the sender dawdles."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > self._limit:
                        raise Refused(413)
        except TimeoutError as error:
            raise Refused(408) from error
        return bytes(body)

    async def _publish(self, event: SlackEvent) -> bool:
        """One try. True once JetStream has it."""
        if not self._bus.client.is_connected:
            return False
        try:
            await self._bus.publish(SLACK_EVENT, event, key=event.key, timeout_s=PUBLISH_S, tries=1)
        except _BUS_AWAY as error:
            log.warning("not taken", extra={"key": event.key, "error": type(error).__name__})
            return False
        return True

    async def _refusable(self, answer: Awaitable[web.Response]) -> web.Response:
        try:
            return await answer
        except Refused as refused:
            return web.Response(status=refused.status)
        except intake.NotUnderstood:
            return web.Response(status=400)

    def _count(self, kind: str, response: web.Response) -> web.Response:
        self._deliveries.labels(kind, str(response.status)).inc()
        return response

    async def avatar(self, request: web.Request) -> web.Response:
        """A persona's generated picture; the same key is the same picture for ever."""
        key = request.match_info["key"]
        if not _AVATAR.fullmatch(key):
            raise web.HTTPNotFound
        etag = f'"{key}"'
        headers = {"ETag": etag, "Cache-Control": "public, max-age=31536000, immutable"}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=await self._avatars.png(key), content_type="image/png", headers=headers)


async def _ssl_check(_: web.Request) -> web.Response:
    """Slack looks at our certificate now and then."""
    return web.Response()
