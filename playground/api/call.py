"""One call: its arguments from wherever the client put them, its errors, its pages."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from aiohttp import web

from playground.box import Box
from playground.channel import Channel
from playground.model import User
from playground.state import Workspace

T = TypeVar("T")
Answer = dict[str, Any]

SCOPES = (
    "app_mentions:read,channels:history,channels:join,channels:read,chat:write,chat:write.customize,commands,"
    "files:write,im:history,im:write,reactions:read,reactions:write,team:read,users:read,assistant:write"
)


class ApiError(Exception):
    """Becomes 200 ``{"ok": false, "error": code, …}``."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


@dataclass(frozen=True)
class Call:
    """Arguments and the place where they apply."""

    box: Box
    arguments: dict[str, Any]
    token: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)

    @property
    def workspace(self) -> Workspace:
        """The workspace of the token."""
        return self.box.workspace

    @property
    def is_org_wide(self) -> bool:
        """Whether the token is an organisation's."""
        install = self.box.installs.of_token(self.token)
        return install is not None and install.org_wide

    def text(self, name: str, default: str | None = None) -> str | None:
        """An argument as text."""
        value = self.arguments.get(name)
        return default if value in (None, "") else str(value)

    def required(self, *names: str) -> list[str]:
        """Arguments that must be there."""
        missing = [name for name in names if self.text(name) is None]
        if missing:
            messages = [f"[ERROR] missing required field: {name}" for name in missing]
            raise ApiError("invalid_arguments", response_metadata={"messages": messages})
        return [str(self.arguments[name]) for name in names]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Booleans come as true, "true", 1 or "1"."""
        value = self.arguments.get(name)
        return default if value in (None, "") else str(value).lower() in ("1", "true")

    def number(self, name: str, *, default: int, most: int) -> int:
        """A count within 1…most; nonsense is the default, as Slack has it."""
        value = self.text(name)
        if value is None:
            return default
        try:
            return min(max(int(value), 1), most)
        except ValueError:
            raise ApiError("invalid_limit") from None

    def nested(self, name: str) -> Any:
        """A value that forms carry as JSON text."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ApiError(
                "invalid_arguments", response_metadata={"messages": [f"[ERROR] {name} is no JSON"]}
            ) from None

    def channel(self, name: str = "channel") -> Channel:
        """The channel that the bot may see; private ones without it do not exist for it."""
        (named,) = self.required(name)
        channel = self.workspace.channels.get(named)
        if channel is None and named in self.workspace.users:
            channel = self.workspace.dm_of(named)
        if channel is None or (channel.kind != "public" and not self.is_member(channel)):
            raise ApiError("channel_not_found")
        return channel

    def is_member(self, channel: Channel) -> bool:
        """Whether the bot is in it."""
        return self.workspace.app.user_id in channel.members

    def user(self, name: str = "user") -> User:
        """An existing user."""
        (named,) = self.required(name)
        user = self.workspace.users.get(named)
        if user is None:
            raise ApiError("user_not_found")
        return user

    def cursor(self, kind: str) -> str | None:
        """What an earlier page's next_cursor remembers; survives inserts, since it is a position and not an offset."""
        value = self.text("cursor")
        if value is None:
            return None
        try:
            found, _, position = base64.b64decode(value, validate=True).decode("ascii").partition(":")
        except (ValueError, binascii.Error):
            raise ApiError("invalid_cursor") from None
        if found != kind or not position:
            raise ApiError("invalid_cursor")
        return position


def next_cursor(kind: str, position: str) -> str:
    """The opaque form of a position."""
    return base64.b64encode(f"{kind}:{position}".encode("ascii")).decode("ascii")


def page_of(
    call: Call, items: Sequence[T], *, kind: str, key: Callable[[T], str], default: int, most: int
) -> tuple[list[T], str]:
    """One page of `items` (sorted by key) and the next cursor, empty at the end."""
    after = call.cursor(kind)
    limit = call.number("limit", default=default, most=most)
    rest = [item for item in items if after is None or key(item) > after]
    page = rest[:limit]
    return page, next_cursor(kind, key(page[-1])) if len(rest) > limit else ""


async def read_arguments(request: web.Request) -> dict[str, Any]:
    """Query, then form, multipart or JSON. Raises ApiError."""
    arguments: dict[str, Any] = dict(request.query)
    if request.method != "POST":
        return arguments
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise ApiError("invalid_json") from None
        if not isinstance(body, dict):
            raise ApiError("json_not_object")
        return arguments | cast("dict[str, Any]", body)
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.post()
        return arguments | {key: value for key, value in form.items() if isinstance(value, str)}
    return arguments
