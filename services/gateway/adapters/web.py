"""The door for Slack: bounded body, signature, publish, JetStream's ack, and only then 200."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import nats.errors
import nats.js.errors
from aiohttp import web
from pydantic import ValidationError

from doppel.bus import Bus
from proto.slack import SlackEvent, SlashCommand
from proto.subjects import SLACK_EVENT
from services.gateway.adapters.pictures import picture
from services.gateway.adapters.response_url import ResponseUrls
from services.gateway.core.commands import HELP, parse_command
from services.gateway.core.signature import is_from_slack

log = logging.getLogger(__name__)

PUBLISH_S: Final = 1.8  # Slack waits 3 s; past this we say 503, and Slack comes back
READ_S: Final = 2.0
AWAY: Final = "I can't reach my own machinery right now, so nothing was done. Please try again in a minute."
TAKEN: Final = "One moment."
_KEY: Final = re.compile(r"[0-9a-f]{24}")
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Refused(Exception):
    """The request is turned away with this status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Door:
    """Slack's three request URLs and the pictures."""

    bus: Bus
    secret: bytes
    max_body_bytes: int
    response_urls: ResponseUrls
    spawn: Spawn

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=self.max_body_bytes)
        app.add_routes(
            [
                web.post("/slack/events", self.events),
                web.post("/slack/commands", self.commands),
                web.get("/slack/commands", self.ssl_check),
                web.post("/slack/interactivity", self.interactivity),
                web.get("/avatars/{key}.png", self.avatar),
            ]
        )
        return app

    async def events(self, request: web.Request) -> web.Response:
        """JSON. No ack from the bus means 503, so that Slack retries."""
        try:
            payload = parse_object(await self._read(request))
            if payload.get("type") == "url_verification":
                return web.json_response({"challenge": str(payload.get("challenge", ""))[:500]})
            if payload.get("type") == "app_rate_limited":
                log.warning("Slack limits our events", extra={"team_id": str(payload.get("team_id"))[:40]})
                return web.Response()
            event = parse_event({**payload, "kind": "event"})
        except Refused as refused:
            return self._refuse(refused)
        return web.Response(status=200 if await self._publish(event) else 503)

    async def commands(self, request: web.Request) -> web.Response:
        """A form. Slack never retries it, so a lost bus is said in one sentence."""
        try:
            form = parse_form(await self._read(request))
            if form.get("ssl_check") == "1":
                return web.Response()
            event = parse_event({**form, "kind": "command"})
        except Refused as refused:
            return self._refuse(refused)
        command = cast("SlashCommand", event.payload)
        if parse_command(command.text).verb == "help":
            return ephemeral(HELP)
        return ephemeral(TAKEN if await self._publish(event) else AWAY)

    async def ssl_check(self, _: web.Request) -> web.Response:
        """Slack looks whether the address is there."""
        return web.Response()

    async def interactivity(self, request: web.Request) -> web.Response:
        """A form with one field, `payload`. Never retried either."""
        try:
            form = parse_form(await self._read(request))
            payload = parse_object(form.get("payload", "").encode())
            if payload.get("type") != "block_actions":
                return web.Response()
            event = parse_event({**payload, "kind": "interaction"})
        except Refused as refused:
            return self._refuse(refused)
        if not await self._publish(event):
            self.spawn(self.response_urls.tell(str(payload.get("response_url") or ""), AWAY))
        return web.Response()

    async def avatar(self, request: web.Request) -> web.Response:
        """A persona's picture; the same for ever, so it may be kept for ever."""
        key = request.match_info["key"]
        if not _KEY.fullmatch(key):
            return web.Response(status=404)
        tag = f'"{key}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        body = await asyncio.to_thread(picture, key)
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": tag}
        return web.Response(body=body, content_type="image/png", headers=headers)

    async def _read(self, request: web.Request) -> bytes:
        """The raw body, bounded before it is hashed, and signed by Slack. Raises Refused."""
        if (request.content_length or 0) > self.max_body_bytes:
            raise Refused(413, "the body is too large")
        try:
            async with asyncio.timeout(READ_S):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise Refused(413, "the body is too large") from None
        except TimeoutError:
            raise Refused(408, "the body came too slowly") from None
        headers = request.headers
        stamps = headers.getall("X-Slack-Request-Timestamp", [])
        if not is_from_slack(self.secret, body, stamps, headers.getall("X-Slack-Signature", []), time.time()):
            raise Refused(401, "not signed by Slack")
        return body

    async def _publish(self, event: SlackEvent) -> bool:
        """One try; True once JetStream has it."""
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self.bus.publish(SLACK_EVENT, event, key=event.key, timeout_s=PUBLISH_S, tries=1)
        except (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error) as error:
            log.warning("not published", extra={"key": event.key, "error": type(error).__name__})
            return False
        return True

    def _refuse(self, refused: Refused) -> web.Response:
        log.warning("refused", extra={"status": refused.status, "reason": str(refused)})
        return web.Response(status=refused.status, text=f"{refused}\n")


def ephemeral(text: str) -> web.Response:
    """Shown to the person who typed, and to nobody else."""
    return web.json_response({"response_type": "ephemeral", "text": text})


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refused."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is not a JSON object")
    return cast("dict[str, Any]", found)


def parse_form(body: bytes) -> dict[str, str]:
    """A form; of a repeated field the last one. Raises Refused."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Refused(400, "the body is not a form") from None


def parse_event(payload: Mapping[str, Any]) -> SlackEvent:
    """What goes on the bus. Raises Refused for ids or fields that can't be Slack's."""
    try:
        return SlackEvent.model_validate({"payload": payload, "received_at": datetime.now(UTC)})
    except (ValidationError, RecursionError):
        raise Refused(400, "the body is no event of Slack's") from None
