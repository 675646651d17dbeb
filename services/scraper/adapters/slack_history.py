"""What one token may read of its workspace through the Web API: people, public channels, pages of messages.

Only ``types=public_channel`` is ever asked for: private channels and DMs are not read. Pages are asked for by
timestamps, never by Slack's cursors, so that any later process can go on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from slack_sdk.web.async_client import AsyncWebClient

from doppel.slack.client import SlackRefused
from proto.conversation import Person
from services.scraper.adapters.slack_calls import SlackCalls, next_cursor
from services.scraper.core.budget import HISTORY, REPLIES
from services.scraper.core.paging import objects_in
from services.scraper.core.people import home_teams, parse_person, parse_text

MOST_PAGES: Final = 100_000  # of one listing; a cursor that never ends is no listing
MOST_RESTARTS: Final = 5
LATEST: Final = "9999999999.999999"  # with `oldest` alone Slack may begin at the wrong end


@dataclass(frozen=True)
class PublicChannel:
    """One public channel."""

    channel_id: str
    name: str = field(repr=False)
    is_member: bool
    is_archived: bool
    created_s: float = 0.0


class SlackHistory:
    """Raises SlackRefused, SlackAway, SlackUnknown."""

    def __init__(self, calls: SlackCalls, team_id: str, enterprise_id: str | None) -> None:
        self.calls = calls
        self._team_id = team_id
        self._enterprise_id = enterprise_id
        self._listed_team = (
            team_id if enterprise_id else None
        )  # tokens of an organisation must name the workspace

    async def people(self) -> list[Person]:
        """Everybody in the directory."""

        def fetch(client: AsyncWebClient, limit: int, cursor: str | None) -> Awaitable[Any]:
            return client.users_list(limit=limit, cursor=cursor, team_id=self._listed_team)

        users = list((await self._listing("users.list", "members", fetch)).values())
        home = home_teams(self._team_id, self._enterprise_id, users)
        people = {person.user_id: person for raw in users if (person := parse_person(raw, home))}
        return sorted(people.values(), key=lambda person: person.user_id)

    async def channels(self) -> list[PublicChannel]:
        """All public channels."""

        def fetch(client: AsyncWebClient, limit: int, cursor: str | None) -> Awaitable[Any]:
            return client.conversations_list(
                types="public_channel", limit=limit, cursor=cursor, team_id=self._listed_team
            )

        found: dict[str, PublicChannel] = {}
        for raw in (await self._listing("conversations.list", "channels", fetch)).values():
            channel_id, created = parse_text(raw.get("id")), raw.get("created")
            is_public = raw.get("is_private") is not True and not raw.get("is_im") and not raw.get("is_mpim")
            if channel_id.startswith("C") and is_public:
                found[channel_id] = PublicChannel(
                    channel_id,
                    parse_text(raw.get("name")),
                    is_member=raw.get("is_member") is True,
                    is_archived=raw.get("is_archived") is True,
                    created_s=float(created) if isinstance(created, (int, float)) else 0.0,
                )
        return [found[channel_id] for channel_id in sorted(found)]

    async def join(self, channel_id: str) -> None:
        """Become a member: without it nothing is shown."""
        await self.calls.call(
            "conversations.join", lambda client: client.conversations_join(channel=channel_id)
        )

    async def history(
        self, channel_id: str, oldest: str | None, latest: str | None, *, inclusive: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        """One page of a channel, newest first, and whether there is more before it."""
        limit = self.calls.page_size(HISTORY)
        if oldest is not None and latest is None:
            latest = LATEST
        answer = await self.calls.page(
            HISTORY,
            limit,
            lambda client: client.conversations_history(
                channel=channel_id,
                limit=limit,
                latest=latest,
                oldest=oldest,
                inclusive=inclusive and latest is not None,
            ),
        )
        return objects_in(answer, "messages"), answer.get("has_more") is True

    async def replies(
        self, channel_id: str, root_ts: str, oldest: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """One page of a thread, its root first, then what came after `oldest`; and whether there is more."""
        limit = self.calls.page_size(REPLIES)
        answer = await self.calls.page(
            REPLIES,
            limit,
            lambda client: client.conversations_replies(
                channel=channel_id, ts=root_ts, limit=limit, oldest=oldest
            ),
        )
        return objects_in(answer, "messages"), answer.get("has_more") is True

    async def _listing(
        self,
        method: str,
        name: str,
        fetch: Callable[[AsyncWebClient, int, str | None], Awaitable[Any]],
    ) -> dict[str, dict[str, Any]]:
        """Follow a cursor to its end: a page may be short, or empty, and still not be the last.

        A cursor that has run out means from the beginning; what is known by then stays.
        """
        found: dict[str, dict[str, Any]] = {}
        cursor, restarts = "", 0
        for _ in range(MOST_PAGES):
            limit = self.calls.page_size(method)
            try:
                answer = await self.calls.call(
                    method, lambda client, cursor=cursor, limit=limit: fetch(client, limit, cursor or None)
                )
            except SlackRefused as error:
                if error.reason != "invalid_cursor" or restarts >= MOST_RESTARTS:
                    raise
                cursor, restarts = "", restarts + 1
                continue
            found |= {parse_text(raw.get("id")): raw for raw in objects_in(answer, name)}
            cursor = next_cursor(answer)
            if not cursor:
                break
        return found
