"""Answers to commands and buttons: in the HTTP answer itself, or later through a response_url."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from playground.api.call import ApiError
from playground.api.chat import checked_blocks
from playground.api.handler import cut
from playground.box import Box, ResponseUrl
from playground.channel import Channel
from playground.journal import summarised


def show_answer(box: Box, target: ResponseUrl, answer: dict[str, Any]) -> None:
    """Do what an answer says: show, replace or delete. Raises ApiError."""
    channel = box.workspace.channels.get(target.channel_id)
    if channel is None:
        raise ApiError("channel_not_found")
    if answer.get("delete_original"):
        _change_original(box, channel, target, None)
        return
    blocks = checked_blocks(answer.get("blocks"))
    text = str(answer.get("text") or "")
    if not text and blocks is None:
        raise ApiError("no_text")
    content: dict[str, Any] = {"text": text} | ({} if blocks is None else {"blocks": blocks})
    if answer.get("replace_original") and target.message_ts is not None:
        _change_original(box, channel, target, content)
        return
    app = box.workspace.app
    content |= {"bot_id": app.bot_id, "app_id": app.app_id, "username": app.name}
    thread_ts = answer.get("thread_ts") or target.thread_ts
    if answer.get("response_type") == "in_channel":
        message = {"type": "message", "subtype": "bot_message", "team": box.workspace.team_id, **content}
        box.workspace.post(channel, message, thread_ts=answer.get("thread_ts"))
        return
    if thread_ts:
        content["thread_ts"] = thread_ts
    box.workspace.show_ephemeral(channel, target.user_id, content)


def _change_original(box: Box, channel: Channel, target: ResponseUrl, content: dict[str, Any] | None) -> None:
    if target.message_ts is None:
        return
    if target.is_ephemeral:
        box.workspace.change_ephemeral(channel, target.message_ts, content)
    elif channel.get(target.message_ts) is None:
        raise ApiError("message_not_found")
    elif content is None:
        box.workspace.delete(channel, target.message_ts)
    else:
        fields = {"text": content["text"], "blocks": content.get("blocks")}
        box.workspace.change(channel, target.message_ts, fields, edited_by=None)


@dataclass(frozen=True)
class Responses:
    """``/response/<secret>``: five uses, thirty minutes, plain ``ok``."""

    box: Box

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One answer through a response_url."""
        started = time.monotonic()
        fault = self.box.faults.take("response_url")
        if fault is not None and fault.kind == "reset_before":
            return cut(request)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(5.0 if fault.delay_s is None else fault.delay_s)
        status, text, answer = await self._answer(request)
        kind = None if fault is None else fault.kind
        self.box.journal.add(
            "in", "response_url", status=status, seconds=time.monotonic() - started,
            request=summarised(answer), response={"text": text}, fault=kind,
        )  # fmt: skip
        if kind == "reset_after":
            return cut(request)
        return web.Response(status=status, text=text)

    async def _answer(self, request: web.Request) -> tuple[int, str, dict[str, Any]]:
        target = self.box.responses.get(request.match_info["secret"])
        if target is None:
            return 404, "no_such_url", {}
        if target.expires_at < time.monotonic():
            return 404, "expired_url", {}
        if target.uses_left <= 0:
            return 404, "used_url", {}
        try:
            answer: Any = json.loads(await request.read())
        except (ValueError, RecursionError):
            return 400, "invalid_payload", {}
        if not isinstance(answer, dict):
            return 400, "invalid_payload", {}
        target.uses_left -= 1
        try:
            show_answer(self.box.at(target.team_id), target, answer)
        except ApiError as error:
            return 500, error.code, answer
        return 200, "ok", answer
