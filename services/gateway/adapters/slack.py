"""What the gateway does at Slack: read a thread, post, update, look for its own messages, find people."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from slack_sdk.web.async_client import AsyncWebClient

from doppel.slack.client import SlackConnection, SlackRefused, sorted_errors
from services.gateway.core.people import name_of
from services.gateway.core.routing import Identity
from services.gateway.repository import Installation, OutboxRow

log = logging.getLogger(__name__)

METADATA: Final = "doppel_reply"
PAGE: Final = 200
MAX_PAGES: Final = 25
GONE: Final = frozenset(("thread_not_found", "channel_not_found", "message_not_found"))
Json = dict[str, Any]


@dataclass(frozen=True)
class Slack:
    """One workspace, through its bot token. Raises SlackRefused, SlackAway, SlackUnknown."""

    installation: Installation
    client: AsyncWebClient

    async def post(self, row: OutboxRow) -> str:
        """Post an outbox row's body; returns the message's ts. An absent bot joins a public channel once."""
        body = row.body or {}
        try:
            return await self._post(row, body)
        except SlackRefused as error:
            if error.reason != "not_in_channel":
                raise
        with sorted_errors():
            await self.client.conversations_join(channel=row.key.channel)
        return await self._post(row, body)

    async def _post(self, row: OutboxRow, body: Mapping[str, Any]) -> str:
        with sorted_errors():
            answer = await self.client.chat_postMessage(
                channel=row.key.channel,
                thread_ts=row.thread_ts,
                unfurl_links=False,
                unfurl_media=False,
                metadata={
                    "event_type": METADATA,
                    "event_payload": {"request_id": str(row.request_id), "part": row.key.part},
                },
                **body,
            )
        return str(answer["ts"])

    async def update(self, channel: str, ts: str, body: Mapping[str, Any]) -> None:
        """Change a message of ours: the same call twice is one effect."""
        with sorted_errors():
            await self.client.chat_update(
                channel=channel,
                ts=ts,
                text=body["text"],
                blocks=body.get("blocks") or [],
                parse="none",
                link_names=False,
            )

    async def delete(self, channel: str, ts: str) -> None:
        """Take a message of ours back; one that is gone is fine."""
        try:
            with sorted_errors():
                await self.client.chat_delete(channel=channel, ts=ts)
        except SlackRefused as error:
            if error.reason not in GONE:
                raise

    async def look_for(self, row: OutboxRow) -> list[str]:
        """The ts of every message of ours that carries this row's request and part, oldest first."""
        me = self.installation.identity
        return sorted(
            str(message["ts"])
            for message in await self._around(row)
            if _is_ours(message, me) and _carries(message, row)
        )

    async def _around(self, row: OutboxRow) -> list[Json]:
        if row.thread_ts:
            return await self.read_thread(
                row.key.channel, row.thread_ts, oldest=row.trigger_ts, metadata=True
            )
        since = row.sending_at.timestamp() - 60 if row.sending_at else 0
        return await self._pages("conversations.history", channel=row.key.channel, oldest=f"{since:.6f}")

    async def read_thread(
        self, channel: str, thread_ts: str, *, oldest: str | None = None, metadata: bool = False
    ) -> list[Json]:
        """A thread, root first; empty where it is gone."""
        more = {"oldest": oldest} if oldest and oldest != thread_ts else {}
        try:
            return await self._pages(
                "conversations.replies", channel=channel, ts=thread_ts, include_all_metadata=metadata, **more
            )
        except SlackRefused as error:
            if error.reason in GONE:
                return []
            raise

    async def _pages(self, method: str, **arguments: Any) -> list[Json]:
        found: list[Json] = []
        cursor = ""
        for _ in range(MAX_PAGES):
            asked = {**arguments, "limit": PAGE, "include_all_metadata": True}
            with sorted_errors():
                answer = await self.client.api_call(
                    method, params=_query(asked | ({"cursor": cursor} if cursor else {}))
                )
            found += cast("list[Json]", answer.get("messages") or [])
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return found

    async def names_of(self, user_ids: Iterable[str]) -> dict[str, str]:
        """Display names; who is unknown to Slack is left out."""
        names: dict[str, str] = {}
        for user_id in sorted(set(user_ids)):
            try:
                names[user_id] = name_of(await self.fetch_user(user_id))
            except SlackRefused as error:
                log.info("no name", extra={"user_id": user_id, "reason": error.reason})
        return names

    async def fetch_user(self, user_id: str) -> Json:
        """One person."""
        with sorted_errors():
            answer = await self.client.users_info(user=user_id)
        return cast("Json", answer["user"])

    async def fetch_users(self) -> list[Json]:
        """Everybody."""
        found: list[Json] = []
        cursor = ""
        for _ in range(MAX_PAGES * 4):
            with sorted_errors():
                answer = await self.client.users_list(limit=PAGE, cursor=cursor or None)
            found += cast("list[Json]", answer.get("members") or [])
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return found

    async def open_dm(self, user_id: str) -> str:
        """The channel id of a person's DM with us."""
        with sorted_errors():
            answer = await self.client.conversations_open(users=user_id)
        return str(cast("Json", answer["channel"])["id"])


async def introduce(connection: SlackConnection, token: str) -> tuple[Installation, str]:
    """Ask Slack who this token is: (installation, workspace's name)."""
    client = connection.client(token)
    with sorted_errors():
        who = await client.auth_test()
        bot = await client.bots_info(bot=who["bot_id"])
    app_id = str(cast("Json", bot["bot"]).get("app_id") or "")
    me = Identity(str(who["user_id"]), str(who["bot_id"]), app_id)
    return Installation(str(who["team_id"]), me, token), str(who.get("team") or "")


def _query(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: int(value) if isinstance(value, bool) else value for key, value in arguments.items()}


def _is_ours(message: Json, me: Identity) -> bool:
    return message.get("bot_id") == me.bot_id or (bool(me.app_id) and message.get("app_id") == me.app_id)


def _carries(message: Json, row: OutboxRow) -> bool:
    metadata = cast("Json", message.get("metadata") or {})
    payload = cast("Json", metadata.get("event_payload") or {})
    return (
        metadata.get("event_type") == METADATA
        and payload.get("request_id") == str(row.request_id)
        and payload.get("part") == row.key.part
    )
