"""What these tests share: a small gateway that checks signatures, the control API as a function, a patient wait."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

SECRET = "integration-secret"


@dataclass
class Receiver:
    """What a gateway sees; `answers` are statuses given before 200 becomes the rule."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        is_json = request.content_type == "application/json"
        fields = {} if is_json else {key: values[0] for key, values in parse_qs(raw.decode()).items()}
        verifier = SignatureVerifier(SECRET)
        seen = {
            "path": request.path,
            "signed": verifier.is_valid_request(raw, dict(request.headers)),
            "retry": request.headers.get("X-Slack-Retry-Num"),
            "reason": request.headers.get("X-Slack-Retry-Reason"),
            "body": json.loads(raw) if is_json else fields,
        }
        self.requests.append(seen)
        status = self.answers.pop(0) if self.answers else 200
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.bodies and status == 200:
            return web.json_response(self.bodies.pop(0), headers=self.headers)
        return web.Response(status=status, headers=self.headers)

    def events(self) -> list[dict[str, Any]]:
        return [seen["body"]["event"] for seen in self.requests if seen["path"] == "/slack/events"]


@dataclass
class Control:
    """The control API, as tests call it."""

    url: str
    session: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        async with self.session.request(
            method, f"{self.url}/playground/{path}", json=body, params=params
        ) as answer:
            return await answer.json()

    async def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        return await self("POST", path, body)

    async def messages(self, channel: str, **params: str) -> dict[str, Any]:
        return await self("GET", "messages", channel=channel, **params)


async def eventually(condition: Callable[[], object], timeout_s: float = 5.0) -> Any:
    async with asyncio.timeout(timeout_s):
        while not (value := condition()):  # noqa: ASYNC110  conditions of all kinds, seen from outside
            await asyncio.sleep(0.01)
        return value
