"""How one row of the outbox reaches Slack (a message, a picture, words for one person), and how to see that it did."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from doppel.secrets import TokenUnreadable
from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from doppel.storage import ObjectMissing
from doppel.transient import is_transient
from proto.errors import ArtifactCorrupt
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.outbox import EPHEMERAL, TAKEN_AWAY, OutboxRow
from services.gateway.core.reply import is_marked, metadata
from services.gateway.core.report import shows_file
from services.gateway.core.streaming import select_begun
from services.gateway.handlers.desk import Desk

LOOK_BACK_S: Final = 60.0  # Slack's clock and the database's may differ
PICTURE_BYTES: Final = 8 * 1024 * 1024
AWAY_S: Final = 5.0
SOON_S: Final = 0.5
BEGINNING_S: Final = 3.0  # Slack's answer to the beginning of a stream is likely on its way


@dataclass(frozen=True)
class Carrier:
    """Raises SlackRefused (definitely not out), SlackAway (not out yet), SlackUnknown (look for it)."""

    desk: Desk

    async def deliver(self, slack: SlackWorkspace, row: OutboxRow) -> str:
        """Put it where it belongs; returns by what it is found again."""
        body = dict(row.body or {})
        if row.stream is not None:
            ts = await self._into_stream(slack, row, body)
            if ts is not None:
                return ts
        if row.rewrites is not None:
            return await self._rewrite(slack, row.key.channel, row.rewrites, body)
        if row.is_ephemeral:
            await self._say_to_one(row, body)
            return EPHEMERAL
        if row.picture is not None:
            return await self._share(slack, row, row.picture)
        mark = metadata(str(row.request_id), row.key.part)
        return await slack.post(row.key.channel, body, thread_ts=row.thread_ts, metadata=mark)

    async def _into_stream(self, slack: SlackWorkspace, row: OutboxRow, body: dict[str, Any]) -> str | None:
        """Finish the message that was begun, whoever began it. None: there is none, so post it like any other."""
        ts = row.stream_ts or await self._begun(slack, row)
        if ts is None:
            await self.desk.streams.forget(row)
            return None
        channel = row.key.channel
        await slack.stop_stream(channel, ts)
        if (
            str(body.get("username") or "") != row.stream_name
        ):  # a plain sentence does not stand under a persona's name
            await slack.delete(channel, ts)
            await self.desk.streams.forget(row)
            return None
        post = {"text": body["text"], "blocks": body.get("blocks")}
        try:
            await slack.update(channel, ts, {**post, "metadata": metadata(str(row.request_id), row.key.part)})
        except SlackRefused as error:
            if error.reason == "streaming_state_conflict":
                raise SlackAway("It is still being streamed.", delay_s=SOON_S) from error
            raise
        return ts

    async def _begun(self, slack: SlackWorkspace, row: OutboxRow) -> str | None:
        """The message whose ts we never learnt. Raises SlackAway while it may still appear."""
        age_s = (datetime.now(UTC) - row.stream_at).total_seconds() if row.stream_at else float("inf")
        if age_s < BEGINNING_S:
            raise SlackAway("It is being begun.", delay_s=SOON_S)
        thread = await slack.fetch_thread(
            row.key.channel, row.thread_ts or "", oldest=row.trigger_ts or row.thread_ts or "0"
        )
        ts = select_begun(thread, row, slack.bot, await self.desk.streams.taken(row))
        if ts is not None and await self.desk.streams.begun(row, ts):
            return ts
        if age_s < self.desk.clocks.settle_s:
            raise SlackAway("It may still appear.", delay_s=AWAY_S)
        return None

    async def _rewrite(self, slack: SlackWorkspace, channel: str, ts: str, body: dict[str, Any]) -> str:
        """In place of what stands there. Name and picture stay as they were posted, and so does our mark."""
        if body.get("is_gone"):
            await slack.delete(channel, ts)
            return TAKEN_AWAY
        await slack.update(channel, ts, {"text": body["text"], "blocks": body.get("blocks")})
        return ts

    async def _say_to_one(self, row: OutboxRow, body: dict[str, Any]) -> None:
        if self.desk.box is None or row.response_url is None:
            raise SlackRefused("response_url_unreadable")
        try:
            url = self.desk.box.open(row.team_id, row.response_url.encode())
        except TokenUnreadable as error:
            raise SlackRefused("response_url_unreadable") from error
        await self.desk.response_urls.say(url, str(body["text"]), body.get("blocks"))

    async def _share(self, slack: SlackWorkspace, row: OutboxRow, picture: dict[str, Any]) -> str:
        """A file carries no metadata, so its id is kept before it is shared: that is what is looked for."""
        file_id = picture.get("file_id")
        if file_id is None:
            data = await self._read(str(picture["key"]), str(picture["sha256"]))
            file_id = await slack.upload(str(picture["name"]), data, str(picture["alt"]))
            if not await self.desk.outbox.note_file(row, file_id, self.desk.clocks.claim_ttl_s):
                raise SlackUnknown("Somebody else posts it.")
        await slack.share(file_id, str(picture["title"]), channel=row.key.channel, thread_ts=row.thread_ts)
        return str(file_id)

    async def _read(self, key: str, sha256: str) -> bytes:
        try:
            return await self.desk.storage.get_bytes(key, sha256=sha256, limit_bytes=PICTURE_BYTES)
        except ObjectMissing as error:
            raise SlackRefused("picture_missing") from error
        except ArtifactCorrupt as error:
            raise SlackRefused("picture_corrupt") from error
        except Exception as error:
            if not is_transient(error):
                raise
            raise SlackAway("The bucket can't be read.", delay_s=AWAY_S) from error

    async def look(self, slack: SlackWorkspace, row: OutboxRow) -> list[str]:
        """By what every copy of this very post is deleted, oldest first."""
        bot, file_id = slack.bot, row.file_id
        if row.picture is not None and file_id is None:
            return []  # not shared: its id is written down first
        if row.thread_ts is not None:
            found = await slack.fetch_thread(
                row.key.channel, row.thread_ts, oldest=row.trigger_ts or row.thread_ts
            )
        else:
            oldest = f"{row.created_at.timestamp() - LOOK_BACK_S:.6f}"
            found = await slack.fetch_history(row.key.channel, oldest=oldest)
        if file_id is not None:
            return [
                str(each["ts"])
                for each in found
                if shows_file(each, file_id, user_id=bot.user_id, bot_id=bot.bot_id)
            ]
        return [
            str(each["ts"])
            for each in found
            if is_marked(
                each,
                request_id=str(row.request_id),
                part=row.key.part,
                app_id=bot.api_app_id,
                bot_id=bot.bot_id,
            )
        ]


def now_s() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()
