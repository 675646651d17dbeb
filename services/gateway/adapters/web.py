"""The door to Slack: raw bytes once, signature, publish, and 200 only after JetStream's ack."""

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.gateway.adapters.avatars import Avatars
from services.gateway.adapters.oauth_web import OAuthWeb
from services.gateway.adapters.reception import Reception
from services.gateway.adapters.signature import is_signed
from services.gateway.core import intake

BODY_S: Final = 2.5
CHUNK_BYTES: Final = 64 * 1024
CHECK_BYTES: Final = 512
_AVATAR: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Web:
    """Slack's three addresses, those of an installation, and the personas' pictures."""

    def __init__(
        self,
        reception: Reception,
        avatars: Avatars,
        oauth: OAuthWeb | None,
        *,
        secret: str | None,
        body_limit_bytes: int,
    ) -> None:
        self._reception = reception
        self._avatars = avatars
        self._oauth = oauth
        self._secret = secret
        self._limit = body_limit_bytes

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/slack/events", self.events),
                web.post("/slack/commands", self.commands),
                web.get("/slack/commands", _ssl_check),
                web.get("/slack/interactivity", _ssl_check),
                web.post("/slack/interactivity", self.interactivity),
                web.get("/avatars/{key}.png", self.avatar),
                *(self._oauth.routes() if self._oauth else ()),
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
        return web.Response(status=200 if await self._reception.event(body) else 503)

    async def _commands(self, request: web.Request) -> web.Response:
        form = intake.parse_form(await self._signed(request, may_be_check=True))
        if intake.is_ssl_check(form):
            return web.Response()
        return web.json_response(await self._reception.command(form))

    async def _interactivity(self, request: web.Request) -> web.Response:
        form = intake.parse_form(await self._signed(request, may_be_check=True))
        if intake.is_ssl_check(form):
            return web.Response()
        answer = await self._reception.interaction(intake.parse_json(form.get("payload", "").encode()))
        return web.Response() if answer is None else web.json_response(answer)

    async def _signed(self, request: web.Request, *, may_be_check: bool = False) -> bytes:
        """The raw body, read once and never past the limit. Raises Refused."""
        if (request.content_length or 0) > self._limit:
            raise Refused(413)
        if "Content-Encoding" in request.headers:  # what is signed is what arrives; Slack packs nothing
            raise Refused(415)
        raw = await self._body(request)
        if (
            may_be_check and len(raw) <= CHECK_BYTES and b"ssl_check=1" in raw
        ):  # sent unsigned, asks for nothing
            with contextlib.suppress(intake.NotUnderstood):
                if intake.is_ssl_check(intake.parse_form(raw)):
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
        """Raises Refused past the limit, where the sender dawdles, and where chunks are none."""
        content, body = request.content, bytearray()
        try:
            if content.is_eof():  # it came with its headers, as most do: no timer for what is here
                body += content.read_nowait()
            else:
                async with asyncio.timeout(BODY_S):
                    async for chunk in content.iter_chunked(CHUNK_BYTES):
                        body += chunk
                        if len(body) > self._limit:
                            break
        except TimeoutError as error:
            raise Refused(408) from error
        except (HttpProcessingError, web.RequestPayloadError) as error:
            raise Refused(400) from error
        if len(body) > self._limit:
            raise Refused(413)
        return bytes(body)

    async def _refusable(self, answer: Awaitable[web.Response]) -> web.Response:
        try:
            return await answer
        except Refused as refused:
            return web.Response(status=refused.status)
        except intake.NotUnderstood:
            return web.Response(status=400)

    def _count(self, kind: str, response: web.Response) -> web.Response:
        self._reception.count(kind, response.status)
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
