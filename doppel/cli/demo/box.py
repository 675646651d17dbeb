"""What the demo's people do in the playground: they write, type a command, press a button, read."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from doppel.cli.terminal import Failure

ASK_EVERY_S: Final = 0.3
CALL_S: Final = 15.0
Message = dict[str, Any]


@dataclass(frozen=True)
class Box:
    """The control API of one playground."""

    http: aiohttp.ClientSession
    url: str

    async def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """One call. Raises Failure with the playground's error code."""
        options: dict[str, Any] = {"params" if method == "GET" else "json": arguments}
        limit = aiohttp.ClientTimeout(total=CALL_S)
        async with self.http.request(
            method, f"{self.url}/playground/{path}", timeout=limit, **options
        ) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
        if not answer.get("ok"):
            raise Failure(f"The playground refused {path}: {answer.get('error')}.", code="playground")
        return answer

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """Write a message as somebody."""
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        return await self.call("POST", "messages", user=user, channel=channel, text=text, **thread)

    async def command(self, user: str, channel: str, text: str) -> None:
        """Type ``/doppel …``."""
        answer = await self.call("POST", "commands", user=user, channel=channel, text=text)
        if answer.get("status") != 200:
            raise Failure("The gateway did not take the command within three seconds.", code="no_answer")

    async def press(self, user: str, channel: str, ts: str, action_id: str) -> None:
        """Press a button."""
        await self.call("POST", "actions", user=user, channel=channel, message_ts=ts, action_id=action_id)

    async def by_bot(self, channel: str, thread_ts: str | None = None) -> list[Message]:
        """What the bot wrote in a channel, a DM or a thread, oldest first."""
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        found = await self.call("GET", "messages", channel=channel, **thread)
        return [message for message in found["messages"] if message.get("bot_id")]

    async def answer(self, channel: str, thread_ts: str, *, after: str, timeout_s: float) -> Message:
        """The bot's first message in a thread that is younger than `after`. Raises Failure."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = [m for m in await self.by_bot(channel, thread_ts) if m["ts"] > after]
                    if found:
                        return found[0]
                    await asyncio.sleep(ASK_EVERY_S)
        except TimeoutError:
            raise Failure(f"No answer in the thread within {timeout_s:.0f} s.", code="timeout") from None


def allow_button(message: Message) -> str | None:
    """The action id of the button that says yes, if the message has one."""
    blocks: list[dict[str, Any]] = message.get("blocks") or []
    elements: list[dict[str, Any]] = [
        e for b in blocks if b.get("type") == "actions" for e in b.get("elements", [])
    ]
    actions = [str(element.get("action_id", "")) for element in elements]
    return next((action for action in actions if "allow" in action.split("_")), None)
