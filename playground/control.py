"""The control API: what tests, the demo and the page ask for. README.md lists it."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from playground.api.call import ApiError
from playground.box import Box
from playground.channel import Channel
from playground.deliver import Deliverer
from playground.interact import press, run_command
from playground.model import Message, User
from playground.text import encode_typed, mentions, rich_text

BODY_LIMIT_BYTES = 4 * 1024 * 1024
Text = Annotated[str, Field(max_length=40_000)]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Body(BaseModel):
    """A request of the control API."""

    model_config = ConfigDict(extra="forbid")


class Post(Body):
    user: str
    channel: str
    text: Text = Field(min_length=1)
    thread_ts: str | None = None
    broadcast: bool = False
    raw: bool = False


class Edit(Body):
    user: str
    channel: str
    ts: str
    text: Text = Field(min_length=1)


class Delete(Body):
    user: str
    channel: str
    ts: str


class Reaction(Body):
    user: str
    channel: str
    ts: str
    name: str


class Command(Body):
    user: str
    channel: str
    text: Text = ""
    command: str = "/doppel"


class Action(Body):
    user: str
    channel: str
    message_ts: str
    action_id: str
    value: str | None = None


class StopStream(Body):
    user: str
    channel: str
    ts: str


class OpenDm(Body):
    user: str


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A wrong body or name is 400 with a code; a page of another origin gets nothing."""
    if request.path.startswith("/playground/"):
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return web.json_response({"ok": False, "error": "foreign_origin"}, status=403)
        try:
            return await handler(request)
        except ApiError as error:
            return web.json_response({"ok": False, "error": error.code} | error.extra, status=400)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_input=False, include_context=False)
            return web.json_response({"ok": False, "error": "invalid_request", "detail": detail}, status=400)
        except json.JSONDecodeError:
            return web.json_response({"ok": False, "error": "invalid_json"}, status=400)
    return await handler(request)


def answer(**fields: Any) -> web.Response:
    """200 with ok."""
    return web.json_response({"ok": True} | fields)


@dataclass(frozen=True)
class Control:
    """People's deeds and what the workspace holds."""

    box: Box
    deliverer: Deliverer

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/playground/workspace", self.workspace),
            web.post("/playground/dm", self.open_dm),
            web.post("/playground/messages", self.post),
            web.get("/playground/messages", self.messages),
            web.patch("/playground/messages", self.edit),
            web.delete("/playground/messages", self.delete),
            web.post("/playground/reactions", self.react),
            web.post("/playground/commands", self.command),
            web.post("/playground/actions", self.action),
            web.post("/playground/streams/stop", self.stop_stream),
        ]

    def _user(self, named: str) -> User:
        user = self.box.workspace.find_user(named)
        if user is None:
            raise ApiError("user_not_found")
        return user

    def _channel(self, named: str) -> Channel:
        channel = self.box.workspace.find_channel(named)
        if channel is None:
            raise ApiError("channel_not_found")
        return channel

    async def workspace(self, _: web.Request) -> web.Response:
        """Who and where."""
        workspace = self.box.workspace
        app = workspace.app
        channels = [
            {
                "id": channel.id,
                "name": channel.name,
                "kind": channel.kind,
                "topic": channel.topic,
                "purpose": channel.purpose,
                "members": channel.members,
                "message_count": channel.message_count,
            }
            for channel in workspace.channels.values()
        ]
        return answer(
            team={"id": workspace.team_id, "name": workspace.team_name, "domain": workspace.domain},
            bot={"user_id": app.user_id, "bot_id": app.bot_id, "app_id": app.app_id, "name": app.name},
            users=list(workspace.users.values()),
            channels=channels,
            gateways=self.box.gateway_urls,
        )

    async def open_dm(self, request: web.Request) -> web.Response:
        """A person's DM with the bot."""
        body = OpenDm.model_validate_json(await request.read())
        return answer(channel=self.box.workspace.open_dm(self._user(body.user)["id"]).id)

    async def post(self, request: web.Request) -> web.Response:
        """A person writes."""
        body = Post.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        if user.get("deleted"):
            raise ApiError("account_inactive")
        if channel.kind == "im" and user["id"] not in channel.members:
            raise ApiError("channel_not_found")
        if body.thread_ts is not None and channel.get(body.thread_ts) is None:
            raise ApiError("thread_not_found")
        message = self.box.workspace.post_as_person(
            channel, user["id"], body.text, thread_ts=body.thread_ts, broadcast=body.broadcast, raw=body.raw
        )
        self._warn_of_absence(channel, user, message)
        event_ids = self.deliverer.newest_about(channel.id, message["ts"])
        return answer(channel=channel.id, ts=message["ts"], message=message, event_ids=event_ids)

    def _warn_of_absence(self, channel: Channel, user: User, message: Message) -> None:
        """Slackbot's hint where somebody mentions the app in a channel without it: no event goes out then."""
        app = self.box.workspace.app
        if app.user_id in channel.members or not mentions(message["text"], app.user_id):
            return
        hint = f"You mentioned <@{app.user_id}>, but it is not in this channel. `/invite @{app.name}` lets it in."
        content = {"user": "USLACKBOT", "username": "Slackbot", "text": hint}
        self.box.workspace.show_ephemeral(channel, user["id"], content)

    async def messages(self, request: web.Request) -> web.Response:
        """Messages of a channel, DM or thread; ephemerals too."""
        channel = self._channel(request.query.get("channel", ""))
        thread_ts, oldest = request.query.get("thread_ts"), request.query.get("oldest", "")
        viewer = request.query.get("viewer")
        viewer_id = None if viewer is None else self._user(viewer)["id"]
        limit = request.query.get("limit", "100")
        if not limit.isdigit():
            raise ApiError("invalid_limit")
        if thread_ts is not None:
            root = channel.get(thread_ts)
            found = ([] if root is None else [root]) + channel.replies(thread_ts)
        else:
            found = list(
                reversed(
                    [message for _, message in zip(range(int(limit)), channel.top_level(), strict=False)]
                )
            )
        ephemerals = [
            row
            for row in self.box.workspace.ephemerals
            if row["channel"] == channel.id
            and viewer_id in (None, row["viewer"])
            and (thread_ts is None or row.get("thread_ts") == thread_ts)
        ]
        shown: list[Message] = [message for message in found if message["ts"] > oldest][-int(limit) :]
        status = self.box.workspace.statuses.get((channel.id, thread_ts or ""))
        return answer(channel=channel.id, messages=shown, ephemerals=ephemerals, status=status)

    async def edit(self, request: web.Request) -> web.Response:
        """A person edits their own message."""
        body = Edit.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        self._own(channel, body.ts, user)
        workspace = self.box.workspace
        wire = encode_typed(body.text, users=workspace.handles(), channels=workspace.channel_names())
        message = workspace.change(
            channel, body.ts, {"text": wire, "blocks": rich_text(wire)}, edited_by=user["id"]
        )
        return answer(channel=channel.id, ts=body.ts, message=message)

    async def delete(self, request: web.Request) -> web.Response:
        """A person deletes their own message."""
        body = Delete.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        self._own(channel, body.ts, user)
        self.box.workspace.delete(channel, body.ts)
        return answer(channel=channel.id, ts=body.ts)

    def _own(self, channel: Channel, ts: str, user: User) -> None:
        message = channel.get(ts)
        if message is None or message.get("user") != user["id"]:
            raise ApiError("message_not_found")

    async def react(self, request: web.Request) -> web.Response:
        """A person adds a reaction."""
        body = Reaction.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        if channel.get(body.ts) is None:
            raise ApiError("message_not_found")
        if not self.box.workspace.react(channel, body.ts, user["id"], body.name.strip(":")):
            raise ApiError("already_reacted")
        return answer()

    async def stop_stream(self, request: web.Request) -> web.Response:
        """A person presses *stop* on a message that is being streamed."""
        body = StopStream.model_validate_json(await request.read())
        self._user(body.user)
        stream = self.box.workspace.streams.get((self._channel(body.channel).id, body.ts))
        if stream is None:
            raise ApiError("message_not_found")
        stream.stopped_by_user = True
        return answer()

    async def command(self, request: web.Request) -> web.Response:
        """A person runs a slash command."""
        body = Command.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        if body.command == "/invite":  # Slack's own; no app hears of it
            self.box.workspace.join(channel, self._user(body.text.strip())["id"], user["id"])
            return answer()
        outcome = await run_command(self.box, self.deliverer, user, channel, body.command, body.text)
        return answer(**outcome.shown())

    async def action(self, request: web.Request) -> web.Response:
        """A person presses a button."""
        body = Action.model_validate_json(await request.read())
        user, channel = self._user(body.user), self._channel(body.channel)
        outcome = await press(
            self.box, self.deliverer, user, channel, body.message_ts, body.action_id, body.value
        )
        return answer(**outcome.shown())
