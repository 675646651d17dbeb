"""A workspace's public history through the Web API: people, public channels, pages of messages with their threads.

Only ``types=public_channel`` is ever asked for: private channels and DMs are not read.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final

from doppel.slack.client import SlackRefused
from proto.conversation import Person
from services.scraper.adapters.slack_calls import SlackCalls, next_cursor
from services.scraper.core.budget import SLOW_PAGE
from services.scraper.core.people import home_teams, parse_person, parse_text
from services.scraper.core.source import TsWindow
from services.scraper.core.timestamps import parse_ts, ts_key

LIST_LIMIT: Final = 200
MOST_PAGES: Final = 100_000  # of one listing; a cursor that never ends is no listing
HISTORY: Final = "conversations.history"
REPLIES: Final = "conversations.replies"


@dataclass(frozen=True)
class PublicChannel:
    """One public channel."""

    channel_id: str
    name: str = field(repr=False)
    is_member: bool
    is_archived: bool


@dataclass(frozen=True)
class Page:
    """Raw messages of one page of a channel, its threads included; the next page lies before `latest_ts`."""

    messages: list[Any] = field(repr=False)
    latest_ts: str | None
    is_last: bool


class SlackHistory:
    """What one token may read of its workspace. Raises SlackRefused, SlackAway, SlackUnknown."""

    def __init__(self, calls: SlackCalls, team_id: str, enterprise_id: str | None) -> None:
        self._calls = calls
        self._team_id = team_id
        self._enterprise_id = enterprise_id

    async def people(self) -> list[Person]:
        """Everybody in the directory."""
        users = [raw async for raw in self._listing("users.list", "members")]
        home = home_teams(self._team_id, self._enterprise_id, users)
        people = {person.user_id: person for raw in users if (person := parse_person(raw, home))}
        return sorted(people.values(), key=lambda person: person.user_id)

    async def channels(self) -> list[PublicChannel]:
        """All public channels."""
        found: dict[str, PublicChannel] = {}
        async for raw in self._listing("conversations.list", "channels"):
            channel_id = parse_text(raw.get("id"))
            is_public = raw.get("is_private") is not True and not raw.get("is_im") and not raw.get("is_mpim")
            if channel_id.startswith("C") and is_public:
                found[channel_id] = PublicChannel(
                    channel_id,
                    parse_text(raw.get("name")),
                    is_member=raw.get("is_member") is True,
                    is_archived=raw.get("is_archived") is True,
                )
        return [found[channel_id] for channel_id in sorted(found)]

    async def join(self, channel: PublicChannel) -> None:
        """Become a member: without it nothing is shown. Archived channels can't be joined."""
        if not channel.is_member and not channel.is_archived:
            client = self._calls.client
            await self._calls.call(
                "conversations.join", lambda: client.conversations_join(channel=channel.channel_id)
            )

    async def pages(self, channel_id: str, before_ts: str | None, window: TsWindow) -> AsyncGenerator[Page]:
        """Pages from the newest backwards, beginning before `before_ts` (None: at the end of the window)."""
        latest, inclusive = (before_ts, False) if before_ts else (window.latest, True)
        while True:
            answer = await self._history(channel_id, latest, window.oldest, inclusive=inclusive)
            roots = [raw for raw in answer.get("messages") or [] if isinstance(raw, dict)]
            oldest_here = min(
                (ts for raw in roots if (ts := parse_ts(raw.get("ts")))), key=ts_key, default=None
            )
            is_last = answer.get("has_more") is not True or oldest_here is None
            yield Page([*roots, *await self._threads(channel_id, roots)], oldest_here or latest, is_last)
            if is_last:
                return
            latest, inclusive = oldest_here, False

    async def _history(
        self, channel_id: str, latest: str | None, oldest: str | None, *, inclusive: bool
    ) -> dict[str, Any]:
        client, limit = self._calls.client, self._calls.page_size(HISTORY)
        answer = await self._calls.call(
            HISTORY,
            lambda: client.conversations_history(
                channel=channel_id,
                limit=limit,
                latest=latest,
                oldest=oldest,
                inclusive=inclusive and latest is not None,
            ),
        )
        found = answer.get("messages")
        if limit > SLOW_PAGE and answer.get("has_more") is True and len(found or []) == SLOW_PAGE:
            await self._calls.found_slow(HISTORY)
        return answer

    async def _threads(self, channel_id: str, roots: list[dict[str, Any]]) -> list[Any]:
        """The replies of every thread on the page."""
        found: list[Any] = []

        async def read(root_ts: str) -> None:
            found.extend(await self._replies(channel_id, root_ts))

        async with asyncio.TaskGroup() as group:
            for raw in roots:
                root_ts = parse_ts(raw.get("thread_ts")) or parse_ts(raw.get("ts"))
                if root_ts and raw.get("reply_count") and root_ts == parse_ts(raw.get("ts")):
                    group.create_task(read(root_ts))
        return found

    async def _replies(self, channel_id: str, root_ts: str) -> list[Any]:
        client, cursor = self._calls.client, ""
        found: list[Any] = []
        for _ in range(MOST_PAGES):
            limit = max(self._calls.page_size(REPLIES), 2)
            try:
                answer = await self._calls.call(
                    REPLIES,
                    lambda cursor=cursor, limit=limit: client.conversations_replies(
                        channel=channel_id, ts=root_ts, limit=limit, cursor=cursor or None
                    ),
                )
            except SlackRefused as error:
                if error.reason == "thread_not_found":  # deleted between the two calls
                    return found
                raise
            found += [raw for raw in answer.get("messages") or [] if isinstance(raw, dict)]
            cursor = next_cursor(answer)
            if not cursor or answer.get("has_more") is False:
                break
        return found

    async def _listing(self, method: str, key: str) -> AsyncGenerator[dict[str, Any]]:
        """Follow a cursor to its end: a page may be short, or empty, and still not be the last."""
        client, cursor = self._calls.client, ""
        for _ in range(MOST_PAGES):
            if method == "users.list":
                answer = await self._calls.call(
                    method, lambda cursor=cursor: client.users_list(limit=LIST_LIMIT, cursor=cursor or None)
                )
            else:
                answer = await self._calls.call(
                    method,
                    lambda cursor=cursor: client.conversations_list(
                        types="public_channel", limit=LIST_LIMIT, cursor=cursor or None
                    ),
                )
            for raw in answer.get(key) or []:
                if isinstance(raw, dict):
                    yield raw
            cursor = next_cursor(answer)
            if not cursor:
                return
