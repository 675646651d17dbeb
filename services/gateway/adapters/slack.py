"""Slack's Web API as the gateway uses it: one object per workspace, errors of three kinds."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from doppel.slack.client import (
    SERVER_ERROR,
    SlackAway,
    SlackConnection,
    SlackRefused,
    SlackUnknown,
    sorted_errors,
)
from proto.conversation import Person
from services.gateway.core.people import person_of
from services.gateway.core.rights import Asker, asker_of
from services.gateway.core.routing import Bot, Installed

PAGE: Final = 200
MOST_PAGES: Final = 50
PERSON_KEPT_S: Final = 600.0
PEOPLE_KEPT: Final = 5000
OK: Final = 200
_BYTES: Final = {"Content-Type": "application/octet-stream"}
RENEWED_S: Final = 3.0
_OF_A_TEAM: Final = frozenset(("users.list", "conversations.list", "users.conversations", "views.publish"))
_INERT: Final[dict[str, Any]] = {"parse": "none", "link_names": False}


class Pauses:
    """Who has asked us to wait: one entry per (workspace, method), so that no workspace silences another."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def check(self, team_id: str, method: str) -> None:
        """Raise SlackAway while Slack still wants us to wait."""
        left = self._until.get((team_id, method), 0.0) - asyncio.get_running_loop().time()
        if left > 0:
            raise SlackAway("Slack asked to wait.", delay_s=left)

    def note(self, team_id: str, method: str, delay_s: float) -> None:
        """Slack wants us to wait."""
        self._until[team_id, method] = asyncio.get_running_loop().time() + delay_s


@dataclass(frozen=True)
class Slack:
    """All workspaces of this process."""

    connection: SlackConnection
    pauses: Pauses = field(default_factory=Pauses)
    people: dict[tuple[str, str], tuple[float, Person]] = field(default_factory=dict[Any, Any], repr=False)
    expired: set[str] = field(default_factory=set[str])

    def of(self, installed: Installed) -> "SlackWorkspace":
        """One of them."""
        client = self.connection.client(installed.token.get_secret_value())
        return SlackWorkspace(client, installed.bot, self.pauses, self.people, self.expired)

    def take_expired(self) -> list[str]:
        """Whose tokens Slack called expired since the last time."""
        found = sorted(self.expired)
        self.expired.clear()
        return found

    async def test(self, token: SecretStr) -> dict[str, Any]:
        """``auth.test``: whose token it is. Raises SlackRefused, SlackAway, SlackUnknown."""
        client = self.connection.client(token.get_secret_value())
        with sorted_errors():
            return cast("dict[str, Any]", (await client.auth_test()).data)

    async def teams(self, token: SecretStr) -> list[str]:
        """The workspaces that an organisation's token may enter. Raises SlackRefused, SlackAway, SlackUnknown."""
        client = self.connection.client(token.get_secret_value())
        found: list[str] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            with sorted_errors():
                answer = await client.auth_teams_list(limit=PAGE, cursor=cursor)
            data = cast("dict[str, Any]", answer.data)
            found += [str(team["id"]) for team in data.get("teams") or []]
            cursor = _next_cursor(data)
            if cursor is None:
                break
        return found

    async def who_am_i(self, token: SecretStr) -> dict[str, Any]:
        """``auth.test``, and the app's id from ``bots.info``. Raises SlackRefused, SlackAway, SlackUnknown."""
        client = self.connection.client(token.get_secret_value())
        answer = await self.test(token)
        with sorted_errors():
            told = cast("dict[str, Any]", (await client.bots_info(bot=str(answer["bot_id"]))).data)
        return answer | {"app_id": told["bot"]["app_id"]}


@dataclass(frozen=True)
class SlackWorkspace:
    """One workspace. Every method raises SlackRefused, SlackAway or SlackUnknown."""

    client: AsyncWebClient
    bot: Bot
    pauses: Pauses
    _people: dict[tuple[str, str], tuple[float, Person]] = field(repr=False)
    _expired: set[str] = field(default_factory=set[str])

    async def post(
        self, channel: str, post: Mapping[str, Any], *, thread_ts: str | None, metadata: Mapping[str, Any]
    ) -> str:
        """Post a message; returns its ts."""
        answer = await self._call(
            "chat.postMessage",
            channel=channel,
            thread_ts=thread_ts,
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
            **_INERT,
            **post,
        )
        return str(answer["ts"])

    async def update(self, channel: str, ts: str, post: Mapping[str, Any]) -> None:
        """Rewrite one of our messages: the same text twice is the same."""
        await self._call("chat.update", channel=channel, ts=ts, **_INERT, **post)

    async def set_status(self, channel: str, thread_ts: str, status: str, **identity: str) -> None:
        """Say in a thread that we are at it; Slack takes it away with our next message there."""
        await self._call(
            "assistant.threads.setStatus", channel_id=channel, thread_ts=thread_ts, status=status, **identity
        )

    async def start_stream(
        self, channel: str, thread_ts: str, text: str, *, asked_by: str, **identity: str
    ) -> str:
        """Begin a message that grows; returns its ts. The name and picture given here stay."""
        answer = await self._call(
            "chat.startStream",
            channel=channel,
            thread_ts=thread_ts,
            markdown_text=text,
            recipient_team_id=self.bot.team_id,
            recipient_user_id=asked_by,
            **identity,
        )
        return str(answer["ts"])

    async def append_stream(self, channel: str, ts: str, text: str) -> None:
        """Let it grow."""
        await self._call("chat.appendStream", channel=channel, ts=ts, markdown_text=text)

    async def stop_stream(self, channel: str, ts: str) -> None:
        """It grows no more, so it may be rewritten; one that is not streamed (any more) is fine."""
        try:
            await self._call("chat.stopStream", channel=channel, ts=ts)
        except SlackRefused as error:
            if error.token_is_dead:
                raise

    async def delete(self, channel: str, ts: str) -> None:
        """Take one of our messages away; one that is gone is fine."""
        try:
            await self._call("chat.delete", channel=channel, ts=ts)
        except SlackRefused as error:
            if error.reason != "message_not_found":
                raise

    async def delete_file(self, file_id: str) -> None:
        """Take a file of ours away, wherever it was shared; one that is gone is fine."""
        try:
            await self._call("files.delete", file=file_id)
        except SlackRefused as error:
            if error.reason not in {"file_not_found", "file_deleted"}:
                raise

    async def upload(self, name: str, data: bytes, alt_text: str) -> str:
        """Bring a file to Slack; returns its id. Nobody sees it before it is shared.

        Whatever goes wrong, nothing is to be seen, so it may be done again: an unknown outcome is raised as SlackAway.
        """
        try:
            answer = await self._call(
                "files.getUploadURLExternal", filename=name, length=len(data), alt_txt=alt_text
            )
            await self._put(str(answer["upload_url"]), data)
        except SlackUnknown as error:
            raise SlackAway("Slack did not take the file.") from error
        return str(answer["file_id"])

    async def _put(self, url: str, data: bytes) -> None:
        """The bytes, without a token: the address is the secret."""
        session = self.client.session
        assert session is not None
        with sorted_errors():
            async with session.post(url, data=data, headers=_BYTES, allow_redirects=False) as response:
                status = response.status
        if status >= SERVER_ERROR:
            raise SlackAway("Slack did not take the file.")
        if status != OK:
            raise SlackRefused(f"upload_{status}")

    async def share(self, file_id: str, title: str, *, channel: str, thread_ts: str | None) -> None:
        """Show an uploaded file. Slack makes the message a little later, and tells no ts."""
        await self._call(
            "files.completeUploadExternal",
            files=[{"id": file_id, "title": title}],
            channel_id=channel,
            thread_ts=thread_ts,
        )

    async def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        """Show a form to whoever typed or pressed; within three seconds, once."""
        await self._call("views.open", trigger_id=trigger_id, view=view)

    async def publish_home(
        self, user_id: str, view: Mapping[str, Any], *, view_hash: str | None
    ) -> str | None:
        """Show somebody their Home tab, over the one of that hash if one is given; returns the new one's."""
        answer = await self._call("views.publish", user_id=user_id, view=view, hash=view_hash)
        shown = answer.get("view")
        return str(shown["hash"]) if isinstance(shown, Mapping) and shown.get("hash") else None

    async def open_dm(self, user_id: str) -> str:
        """The DM with somebody; the same one each time."""
        answer = await self._call("conversations.open", users=user_id)
        return str(answer["channel"]["id"])

    async def fetch_thread(self, channel: str, thread_ts: str, *, oldest: str = "0") -> list[dict[str, Any]]:
        """A thread, oldest first."""
        return await self._pages("conversations.replies", channel=channel, ts=thread_ts, oldest=oldest)

    async def fetch_history(self, channel: str, *, oldest: str) -> list[dict[str, Any]]:
        """What stands in a channel since `oldest`, without replies."""
        return await self._pages("conversations.history", channel=channel, oldest=oldest)

    async def fetch_page(
        self, method: str, *, cursor: str | None, **where: str
    ) -> tuple[dict[str, Any], str | None]:
        """One page of a method that reads, and where the next one begins."""
        answer = await self._call(method, **where, limit=PAGE, cursor=cursor)
        return answer, _next_cursor(answer)

    async def _pages(self, method: str, **where: str) -> list[dict[str, Any]]:
        """Messages, oldest first, each once though pages may repeat a thread's root."""
        found: dict[str, dict[str, Any]] = {}
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            answer = await self._call(method, **where, limit=PAGE, cursor=cursor, include_all_metadata=True)
            found.update({str(each["ts"]): each for each in answer.get("messages") or []})
            cursor = _next_cursor(answer)
            if cursor is None:
                break
        return [found[ts] for ts in sorted(found)]

    async def fetch_person(self, user_id: str) -> Person | None:
        """Who that is; remembered for ten minutes. None: nobody of that id."""
        now = asyncio.get_running_loop().time()
        known = self._people.get((self.bot.team_id, user_id))
        if known and now - known[0] < PERSON_KEPT_S:
            return known[1]
        try:
            answer = await self._call("users.info", user=user_id)
        except SlackRefused as error:
            if error.reason in {"user_not_found", "user_not_visible"}:
                return None
            raise
        return self._remember(answer.get("user") or {}, now)

    async def fetch_asker(self, user_id: str) -> Asker:
        """What somebody may do here: asked of Slack each time, since rights are taken away too."""
        try:
            answer = await self._call("users.info", user=user_id)
        except SlackRefused as error:
            if error.reason in {"user_not_found", "user_not_visible"}:
                return Asker(user_id, is_member=False, is_admin=False)
            raise
        return asker_of(answer.get("user") or {}, user_id, self.bot.team_id)

    async def fetch_people(self) -> list[Person]:
        """Everybody of the workspace."""
        now = asyncio.get_running_loop().time()
        people = [self._remember(each, now) for each in await self._members()]
        return [person for person in people if person is not None]

    async def fetch_admins(self) -> list[str]:
        """Who may decide about everybody's personas."""
        people = [
            asker_of(each, str(each.get("id") or ""), self.bot.team_id) for each in await self._members()
        ]
        return [each.user_id for each in people if each.is_admin]

    async def _members(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            answer = await self._call("users.list", limit=PAGE, cursor=cursor)
            found += answer.get("members") or []
            cursor = _next_cursor(answer)
            if cursor is None:
                break
        return found

    def _remember(self, raw: Mapping[str, Any], now: float) -> Person | None:
        person = person_of(raw, self.bot.team_id)
        if person is not None:
            if len(self._people) >= PEOPLE_KEPT:
                self._people.clear()
            self._people[self.bot.team_id, person.user_id] = (now, person)
        return person

    async def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self.pauses.check(self.bot.team_id, method)
        given = {name: value for name, value in arguments.items() if value is not None}
        if self.bot.org_wide and method in _OF_A_TEAM:
            given["team_id"] = self.bot.team_id
        call = getattr(self.client, method.replace(".", "_"))
        try:
            with sorted_errors():
                answer = await call(**given)
        except SlackAway as error:
            if error.delay_s:
                self.pauses.note(self.bot.team_id, method, error.delay_s)
            raise
        except SlackRefused as error:
            if error.reason != "token_expired":
                raise
            self._expired.add(self.bot.team_id)  # it is renewed at once; the call comes back
            raise SlackAway("The token is being renewed.", delay_s=RENEWED_S) from error
        return cast("dict[str, Any]", answer.data)


def _next_cursor(answer: Mapping[str, Any]) -> str | None:
    told = answer.get("response_metadata")
    cursor = told.get("next_cursor") if isinstance(told, Mapping) else None
    return str(cursor) if cursor else None
