"""What people do in the story, through the playground's control API."""

from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.waiting import eventually


@dataclass(frozen=True)
class Workspace:
    """The playground of one stack."""

    http: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, endpoint: str, /, **arguments: Any) -> dict[str, Any]:
        """One call of the control API; AssertionError unless it is ok."""
        body = {"params": arguments} if method == "GET" else {"json": arguments}
        async with self.http.request(method, f"{self.url}/playground/{endpoint}", **body) as response:
            answer = await response.json(content_type=None)
        assert answer.get("ok"), (endpoint, answer)
        return answer

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> dict[str, Any]:
        """Write a message as somebody."""
        extra = {"thread_ts": thread_ts} if thread_ts else {}
        return await self.ask("POST", "messages", user=user, channel=channel, text=text, **extra)

    async def command(self, user: str, channel: str, text: str) -> dict[str, Any]:
        """Type `/doppel …`."""
        return await self.ask("POST", "commands", user=user, channel=channel, text=text)

    async def messages(self, channel: str, thread_ts: str | None = None) -> list[dict[str, Any]]:
        """What a channel, DM or thread shows, oldest first."""
        extra = {"thread_ts": thread_ts} if thread_ts else {}
        return (await self.ask("GET", "messages", channel=channel, limit="200", **extra))["messages"]

    async def bot_messages(self, channel: str, thread_ts: str | None = None) -> list[dict[str, Any]]:
        """Those of them that the bot wrote."""
        return [m for m in await self.messages(channel, thread_ts) if m.get("bot_id")]

    async def reply(self, channel: str, thread_ts: str, within_s: float = 120) -> dict[str, Any]:
        """The bot's answer in a thread."""

        async def asked() -> dict[str, Any] | None:
            found = await self.bot_messages(channel, thread_ts)
            return found[0] if found else None

        return await eventually(asked, what=f"an answer in {channel}/{thread_ts}", within_s=within_s)

    async def answered_once(self, channel: str, thread_ts: str) -> None:
        """One answer lies in the thread, and none of its parts twice: a persona may write several in a row."""
        found = [m["metadata"]["event_payload"] for m in await self.bot_messages(channel, thread_ts)]
        assert len({mark["request_id"] for mark in found}) == 1
        assert [mark["part"] for mark in found] == list(range(len(found)))

    async def press(self, user: str, channel: str, ts: str, action_id: str) -> dict[str, Any]:
        """Press a button."""
        return await self.ask(
            "POST", "actions", user=user, channel=channel, message_ts=ts, action_id=action_id
        )

    async def consent_question(self, person: str, within_s: float = 30) -> dict[str, Any]:
        """The newest question in that person's DM that has buttons."""

        async def asked() -> dict[str, Any] | None:
            found = [m for m in await self.bot_messages(f"@{person}") if buttons_of(m)]
            return found[-1] if found else None

        return await eventually(asked, what=f"a question to @{person}", within_s=within_s)

    async def answer_consent(self, person: str, *, allow: bool) -> None:
        """Press Allow or No."""
        question = await self.consent_question(person)
        wanted = "allow" if allow else "no"
        action = next(a for a in buttons_of(question) if wanted in a.split("_"))
        await self.press(person, f"@{person}", question["ts"], action)

    async def fault(self, on: str, kind: str, **more: Any) -> None:
        """Arm a failure switch."""
        await self.ask("POST", "faults", on=on, kind=kind, **more)


def buttons_of(message: dict[str, Any]) -> list[str]:
    """The action ids of a message's buttons."""
    return [
        element["action_id"]
        for block in message.get("blocks") or []
        if block.get("type") == "actions"
        for element in block["elements"]
    ]


def text_of(message: dict[str, Any]) -> str:
    """Everything a message shows: text and blocks."""
    return f"{message.get('text', '')} {message.get('blocks', '')}"
