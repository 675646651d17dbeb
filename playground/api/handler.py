"""The HTTP side of the Web API: token, faults, method, answer, journal."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from playground import oauth
from playground.api import chat, conversations, files, people, reactions, streams, views
from playground.api.call import SCOPES, Answer, ApiError, Call, read_arguments
from playground.box import Box
from playground.faults import Fault
from playground.installs import InstallError
from playground.journal import redacted, summarised
from playground.oauth import CREDENTIALS_ONLY

METHODS: dict[str, Callable[[Call], Answer]] = {
    **conversations.METHODS,
    **chat.METHODS,
    **files.METHODS,
    **people.METHODS,
    **reactions.METHODS,
    **streams.METHODS,
    **views.METHODS,
    **oauth.METHODS,
}
WITHOUT_TOKEN = CREDENTIALS_ONLY | {"api.test"}
_HTML = "<!DOCTYPE html><html><body><h1>Slack is having trouble</h1></body></html>"
BODY_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class WebApi:
    """``/api/<method>``"""

    box: Box

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call: always 200 with ``ok``, except where a fault says otherwise."""
        method = request.match_info["method"]
        started = time.monotonic()
        fault = self.box.faults.take(method)
        arguments: dict[str, Any] = {}
        try:
            arguments = await read_arguments(request)
            if fault is not None:
                if (early := await self._before(request, fault)) is not None:
                    self._note(method, arguments, started, early.status, {}, fault)
                    return early
                if fault.kind == "stale_ticket":
                    arguments["_stale_ticket"] = True
            box, token = self._authorise(request, method, arguments)
            if (wait_s := self.box.limits.take(method, token)) is not None:
                limited = self._too_many(self.box.limits.headers(wait_s))
                self._note(method, arguments, started, limited.status, {}, fault)
                return limited
            given = request.headers.get("Authorization", "")
            answer: Answer = {"ok": True} | _answer(method, Call(box, arguments, token, given))
        except (ApiError, InstallError) as error:
            answer = {"ok": False, "error": error.code} | error.extra
        response = web.json_response(answer, headers=self._headers())
        if fault is not None:
            response = self._after(request, fault, response)
        self._note(method, arguments, started, response.status, answer, fault)
        return response

    def _authorise(self, request: web.Request, method: str, arguments: dict[str, Any]) -> tuple[Box, str]:
        """The box as the token sees it, and the token. Raises ApiError, InstallError."""
        if method in WITHOUT_TOKEN:
            return self.box, ""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else str(arguments.get("token") or "")
        settings = self.box.settings
        if not given:
            raise ApiError("not_authed")
        if given in self.box.revoked:
            raise ApiError("token_revoked")
        wants_app_token = method.startswith("apps.connections.")
        bot_token, app_token = settings.bot_token.get_secret_value(), settings.app_token.get_secret_value()
        if given == (app_token if wants_app_token else bot_token):
            return self.box, given
        if not wants_app_token and self.box.installs.of_token(given) is not None:
            return self.box.seen_by(given, arguments), given
        raise ApiError("not_allowed_token_type" if given in (bot_token, app_token) else "invalid_auth")

    async def _before(self, request: web.Request, fault: Fault) -> web.Response | None:
        """What a fault answers without any effect; None where the call goes on."""
        if fault.kind == "ratelimited":
            asked = fault.retry_after
            return self._too_many({} if asked is None else {"Retry-After": str(asked)})
        if fault.kind == "status":
            return web.Response(
                status=fault.status, text="upstream connect error or disconnect/reset before headers"
            )
        if fault.kind == "html":
            return web.Response(text=_HTML, content_type="text/html")
        if fault.kind == "error":
            raise ApiError(fault.error)
        if fault.kind == "reset_before":
            return cut(request)
        if fault.kind == "slow":
            await asyncio.sleep(5.0 if fault.delay_s is None else fault.delay_s)
        return None

    def _too_many(self, headers: dict[str, str]) -> web.Response:
        body = {"ok": False, "error": "ratelimited"}
        return web.json_response(body, status=429, headers=self._headers() | headers)

    def _after(self, request: web.Request, fault: Fault, response: web.Response) -> web.Response:
        if fault.kind == "reset_after":
            return cut(request)
        if fault.kind == "status_after":
            return web.Response(status=fault.status, text="upstream request timeout")
        return response

    def _headers(self) -> dict[str, str]:
        return {
            "x-slack-req-id": secrets.token_hex(16),
            "x-oauth-scopes": SCOPES,
            "x-accepted-oauth-scopes": SCOPES,
        }

    def _note(
        self,
        method: str,
        arguments: dict[str, Any],
        started: float,
        status: int,
        answer: Answer,
        fault: Fault | None,
    ) -> None:
        seconds = time.monotonic() - started
        kind = None if fault is None else fault.kind
        self.box.journal.add(
            "in",
            method,
            status=status,
            seconds=seconds,
            request=redacted(arguments),
            response=summarised(answer),
            fault=kind,
        )
        shown = {
            "method": method,
            "status": status,
            "ok": answer.get("ok", False),
            "error": answer.get("error"),
        }
        self.box.hub.publish("call", shown | {"fault": kind, "seconds": round(seconds, 3)})


def _answer(method: str, call: Call) -> Answer:
    function = METHODS.get(method)
    if function is None:
        raise ApiError("unknown_method", req_method=method)
    return function(call)


def cut(request: web.Request) -> web.Response:
    """Reset the connection under the client; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=599)
