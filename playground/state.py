"""The workspace in memory. Every change goes through here and is told to the observers."""

import itertools
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from playground.channel import Channel, Clock, now_us
from playground.model import (
    BOT_ID,
    BOT_USER_ID,
    ChannelKind,
    Message,
    SeedChannel,
    SeedWorkspace,
    StoredFile,
    Stream,
    User,
)
from playground.text import encode_typed, rich_text


@dataclass(frozen=True)
class Change:
    """Something happened: what, where, and what it was before."""

    kind: Literal[
        "posted",
        "changed",
        "deleted",
        "ephemeral",
        "ephemeral_gone",
        "joined",
        "reacted",
        "unreacted",
        "channel",
    ]
    channel: Channel
    message: dict[str, Any] = field(default_factory=dict[str, Any])
    previous: dict[str, Any] | None = None


@dataclass(frozen=True)
class AppIdentity:
    """The one app that is installed here."""

    app_id: str
    user_id: str = BOT_USER_ID
    bot_id: str = BOT_ID
    name: str = "doppel"


class Workspace:
    """Users, channels, messages, ephemerals of one team."""

    def __init__(
        self, seed: SeedWorkspace, app: AppIdentity, *, clock: Clock = now_us, number: int = 0
    ) -> None:
        self.team_id = seed.team_id
        self.team_name = seed.team_name
        self.domain = seed.domain
        self.app = app
        self.users: dict[str, User] = {user["id"]: user for user in seed.users}
        self.bots: dict[str, dict[str, Any]] = {bot["id"]: bot for bot in seed.bots}
        self.channels: dict[str, Channel] = {each.id: Channel(each, clock=clock) for each in seed.channels}
        self.ephemerals: list[dict[str, Any]] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.files: dict[str, StoredFile] = {}
        self.streams: dict[tuple[str, str], Stream] = {}  # by channel and ts
        self.statuses: dict[tuple[str, str], dict[str, str | None]] = {}  # by channel and thread
        self.homes: dict[str, dict[str, Any]] = {}
        self.observers: list[Callable[[Change], None]] = []
        self._clock = clock
        self._number = number  # of the workspace: ids of channels are not used twice
        self._dm_numbers = itertools.count(1)

    # who and where

    def handles(self) -> dict[str, str]:
        """Handle → user id."""
        return {user["name"]: user_id for user_id, user in self.users.items()}

    def channel_names(self) -> dict[str, str]:
        """Name → channel id, without DMs."""
        return {channel.name: channel.id for channel in self.channels.values() if channel.kind != "im"}

    def find_user(self, named: str) -> User | None:
        """By id, handle or @handle."""
        if named in self.users:
            return self.users[named]
        user_id = self.handles().get(named.removeprefix("@").lower())
        return None if user_id is None else self.users[user_id]

    def find_channel(self, named: str) -> Channel | None:
        """By id, name or #name; @ada is Ada's DM with the bot."""
        if named in self.channels:
            return self.channels[named]
        if named.startswith("@"):
            user = self.find_user(named)
            return None if user is None else self.open_dm(user["id"])
        channel_id = self.channel_names().get(named.removeprefix("#"))
        return None if channel_id is None else self.channels[channel_id]

    def dm_of(self, user_id: str) -> Channel | None:
        """The DM of that person with the bot, where there is one."""
        wanted = {user_id, self.app.user_id}
        return next(
            (each for each in self.channels.values() if each.kind == "im" and set(each.members) == wanted),
            None,
        )

    def open_dm(self, user_id: str) -> Channel:
        """The DM of that person with the bot, made where needed."""
        if (channel := self.dm_of(user_id)) is not None:
            return channel
        channel_id = f"D{self._number}{user_id.removeprefix('U0')}{next(self._dm_numbers)}"
        seed = SeedChannel(
            id=channel_id,
            name=user_id,
            kind="im",
            created=self._clock() // 1_000_000,
            creator=self.app.user_id,
            members=[user_id, self.app.user_id],
        )
        channel = self.channels[channel_id] = Channel(seed, clock=self._clock)
        self._tell(Change("channel", channel))
        return channel

    def join(self, channel: Channel, user_id: str, inviter: str | None = None) -> bool:
        """Make somebody a member; False where they are one."""
        if user_id in channel.members:
            return False
        channel.members.append(user_id)
        joined = {"user": user_id} | ({} if inviter is None else {"inviter": inviter})
        self._tell(Change("joined", channel, joined))
        return True

    # messages

    def post_as_person(
        self,
        channel: Channel,
        user_id: str,
        text: str,
        *,
        thread_ts: str | None,
        broadcast: bool = False,
        raw: bool = False,
    ) -> Message:
        """Post what a person types (`raw`: the text as it is on the wire)."""
        if channel.kind != "im":
            self.join(channel, user_id)
        wire = text if raw else encode_typed(text, users=self.handles(), channels=self.channel_names())
        message: Message = {
            "type": "message",
            "user": user_id,
            "text": wire,
            "team": self.team_id,
            "client_msg_id": str(uuid.uuid4()),
            "blocks": rich_text(wire),
        }
        if broadcast and thread_ts is not None:
            message["subtype"] = "thread_broadcast"
        return self.post(channel, message, thread_ts=thread_ts)

    def post(self, channel: Channel, message: Message, *, thread_ts: str | None = None) -> Message:
        """Give `message` its ts and its place."""
        message["ts"] = channel.next_ts()
        if thread_ts is not None:
            message["thread_ts"] = thread_ts
            if (root := channel.get(thread_ts)) is not None:
                message["parent_user_id"] = root.get("user") or root.get("bot_id")
            if message.get("bot_id") == self.app.bot_id:
                self.statuses.pop((channel.id, thread_ts), None)
        channel.insert(message)
        self._tell(Change("posted", channel, message))
        if thread_ts is not None and (root := channel.get(thread_ts)) is not None:
            self._tell(Change("reacted", channel, root))  # counters at the root; pages redraw it
        return message

    def change(self, channel: Channel, ts: str, fields: Message, *, edited_by: str | None) -> Message:
        """Replace fields of a message; a None removes one. Raises KeyError."""
        message = channel.get(ts)
        if message is None:
            raise KeyError(ts)
        previous = dict(message)
        for key, value in fields.items():
            if value is None:
                message.pop(key, None)
            else:
                message[key] = value
        if edited_by is not None:
            message["edited"] = {"user": edited_by, "ts": channel.next_ts()}
        self._tell(Change("changed", channel, message, previous))
        return message

    def delete(self, channel: Channel, ts: str) -> None:
        """Remove a message. Raises KeyError."""
        previous = channel.remove(ts)
        self._tell(Change("deleted", channel, {"ts": ts, "thread_ts": previous.get("thread_ts")}, previous))

    def react(self, channel: Channel, ts: str, user_id: str, name: str) -> bool:
        """Add a reaction; False where that person has it there already. Raises KeyError."""
        message = channel.get(ts)
        if message is None:
            raise KeyError(ts)
        reactions: list[dict[str, Any]] = message.setdefault("reactions", [])
        entry = next((each for each in reactions if each["name"] == name), None)
        if entry is None:
            entry = {"name": name, "users": [], "count": 0}
            reactions.append(entry)
        if user_id in entry["users"]:
            return False
        entry["users"].append(user_id)
        entry["count"] = len(entry["users"])
        self._tell(Change("reacted", channel, message, {"user": user_id, "reaction": name}))
        return True

    def unreact(self, channel: Channel, ts: str, user_id: str, name: str) -> bool:
        """Take a reaction back; False where that person has none there. Raises KeyError."""
        message = channel.get(ts)
        if message is None:
            raise KeyError(ts)
        entry = next((each for each in message.get("reactions", []) if each["name"] == name), None)
        if entry is None or user_id not in entry["users"]:
            return False
        entry["users"].remove(user_id)
        entry["count"] = len(entry["users"])
        if not entry["users"]:
            message["reactions"].remove(entry)
        if not message["reactions"]:
            del message["reactions"]
        self._tell(Change("unreacted", channel, message, {"user": user_id, "reaction": name}))
        return True

    def set_status(self, channel: Channel, thread_ts: str, status: str | None, username: str | None) -> None:
        """What the app is said to be doing in a thread; None takes it away."""
        if status is None:
            self.statuses.pop((channel.id, thread_ts), None)
        else:
            self.statuses[channel.id, thread_ts] = {"status": status, "username": username}

    # ephemerals

    def show_ephemeral(self, channel: Channel, user_id: str, content: dict[str, Any]) -> dict[str, Any]:
        """Something that only `user_id` sees."""
        row = {
            **content,
            "type": "message",
            "channel": channel.id,
            "viewer": user_id,
            "ts": channel.next_ts(),
        }
        row["is_ephemeral"] = True
        self.ephemerals.append(row)
        self._tell(Change("ephemeral", channel, row))
        return row

    def find_ephemeral(self, channel: Channel, ts: str) -> dict[str, Any] | None:
        """The ephemeral with that ts."""
        return next(
            (row for row in self.ephemerals if row["channel"] == channel.id and row["ts"] == ts), None
        )

    def change_ephemeral(self, channel: Channel, ts: str, content: dict[str, Any] | None) -> None:
        """Replace its content, or (None) take it away. Nothing where it is gone."""
        row = self.find_ephemeral(channel, ts)
        if row is None:
            return
        if content is None:
            self.ephemerals.remove(row)
            self._tell(Change("ephemeral_gone", channel, {"ts": ts, "viewer": row["viewer"]}))
            return
        row.pop("blocks", None)
        row.update(content)
        self._tell(Change("ephemeral", channel, row))

    def counts(self) -> dict[ChannelKind, int]:
        """Messages per kind of channel."""
        counts: dict[ChannelKind, int] = {"public": 0, "private": 0, "im": 0}
        for channel in self.channels.values():
            counts[channel.kind] += channel.message_count
        return counts

    def _tell(self, change: Change) -> None:
        for observer in self.observers:
            observer(change)


def trigger_id() -> str:
    """Unique per invocation, as Slack's are."""
    return f"{now_us()}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
