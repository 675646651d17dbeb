"""The control API of forms: which are open, filling one in, leaving it, a shortcut; and of the App Home."""

from dataclasses import dataclass

from aiohttp import web
from pydantic import Field

from playground.api.call import ApiError
from playground.box import Box
from playground.control import Body, answer
from playground.deliver import Deliverer
from playground.forms import Given, close, run_message_shortcut, run_shortcut, submit, views_of
from playground.home import home_of, open_home, press_home
from playground.model import User


class Submission(Body):
    user: str
    view_id: str
    values: Given = Field(default={})


class Leaving(Body):
    user: str
    view_id: str


class Opening(Body):
    user: str


class HomePress(Body):
    user: str
    action_id: str
    value: str | None = None


class Shortcut(Body):
    user: str
    callback_id: str
    channel: str | None = None
    message_ts: str | None = None


@dataclass(frozen=True)
class FormControl:
    """What people do with forms."""

    box: Box
    deliverer: Deliverer

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/playground/views", self.views),
            web.post("/playground/views", self.submit),
            web.delete("/playground/views", self.leave),
            web.post("/playground/shortcuts", self.shortcut),
            web.get("/playground/home", self.home),
            web.post("/playground/home", self.open_home),
            web.post("/playground/home/actions", self.press_home),
        ]

    def _user(self, named: str) -> User:
        user = self.box.workspace.find_user(named)
        if user is None:
            raise ApiError("user_not_found")
        return user

    async def views(self, request: web.Request) -> web.Response:
        """What a person has open."""
        return answer(views=views_of(self.box, self._user(request.query.get("user", ""))))

    async def submit(self, request: web.Request) -> web.Response:
        """A person sends a form off."""
        body = Submission.model_validate_json(await request.read())
        outcome = await submit(self.box, self.deliverer, self._user(body.user), body.view_id, body.values)
        return answer(**outcome.shown())

    async def leave(self, request: web.Request) -> web.Response:
        """A person closes it."""
        body = Leaving.model_validate_json(await request.read())
        close(self.box, self._user(body.user), body.view_id)
        return answer()

    async def home(self, request: web.Request) -> web.Response:
        """What a person's Home tab shows."""
        return answer(view=home_of(self.box, self._user(request.query.get("user", ""))))

    async def open_home(self, request: web.Request) -> web.Response:
        """A person opens the tab."""
        body = Opening.model_validate_json(await request.read())
        user = self._user(body.user)
        return answer(event_id=open_home(self.box, self.deliverer, user), view=home_of(self.box, user))

    async def press_home(self, request: web.Request) -> web.Response:
        """A person presses a button in it."""
        body = HomePress.model_validate_json(await request.read())
        user = self._user(body.user)
        outcome = await press_home(self.box, self.deliverer, user, body.action_id, body.value)
        return answer(**outcome.shown())

    async def shortcut(self, request: web.Request) -> web.Response:
        """A person runs one of the app's shortcuts, global or a message's."""
        body = Shortcut.model_validate_json(await request.read())
        user = self._user(body.user)
        if body.channel is None or body.message_ts is None:
            outcome = await run_shortcut(self.box, self.deliverer, user, body.callback_id)
        else:
            channel = self.box.workspace.find_channel(body.channel)
            if channel is None:
                raise ApiError("channel_not_found")
            outcome = await run_message_shortcut(
                self.box, self.deliverer, user, body.callback_id, channel, body.message_ts
            )
        return answer(**outcome.shown())
