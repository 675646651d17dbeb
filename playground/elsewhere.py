"""Further workspaces, small ones: people and channels as in the first, where the app comes by OAuth only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from pydantic import Field

from playground.api.call import ApiError
from playground.box import Box
from playground.control import Body, Control, answer
from playground.deliver import Deliverer
from playground.settings import Settings
from playground.state import AppIdentity, Workspace
from playground.synthetic import make_workspace

_MESSAGES = 40


def make_another(settings: Settings, team_id: str, number: int) -> Workspace:
    """The n-th: its channels have ids of their own, as everywhere at Slack (C0ENG is C1ENG)."""
    app_id = settings.api_app_id
    seed = make_workspace(
        settings.seed + number, now=settings.now, message_count=_MESSAGES, team_id=team_id, app_id=app_id
    )
    seed.team_name = f"Playground {number + 1} (synthetic)"
    for channel in seed.channels:
        channel.id = f"{channel.id[0]}{number}{channel.id[2:]}"
    return Workspace(seed, AppIdentity(app_id=app_id), number=number)


class Uninstall(Body):
    place: str = Field(pattern=r"^[TE][A-Z0-9]+$")
    events: list[Literal["tokens_revoked", "app_uninstalled"]] = Field(
        default=["tokens_revoked", "app_uninstalled"]
    )


@dataclass(frozen=True)
class Elsewhere:
    """``/playground/teams/<team>/…``: the control API of one workspace, and who has the app."""

    box: Box
    deliverer: Deliverer

    def routes(self) -> list[web.RouteDef]:
        """What people do, for each workspace."""
        found: list[web.RouteDef] = []
        for route in Control(self.box, self.deliverer).routes():
            path = route.path.replace("/playground/", "/playground/teams/{team}/", 1)
            found.append(web.route(route.method, path, self._there(route.handler.__name__)))
        return [
            *found,
            web.get("/playground/installs", self.installs),
            web.post("/playground/uninstall", self.uninstall),
        ]

    def _there(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                box = self.box.at(request.match_info["team"])
            except KeyError:
                raise ApiError("team_not_found") from None
            return await getattr(Control(box, self.deliverer), name)(request)

        return handle

    async def installs(self, _: web.Request) -> web.Response:
        """Who has the app by OAuth."""
        return answer(installed=sorted(self.box.installs.living))

    async def uninstall(self, request: web.Request) -> web.Response:
        """The app goes: its token dies, and the events say so in the order asked for."""
        body = Uninstall.model_validate_json(await request.read())
        is_org = body.place.startswith("E")
        box = self.box.at(next(iter(self.box.others)) if is_org else body.place)
        if not self.box.installs.remove(body.place):
            raise ApiError("not_installed")
        told = {
            "tokens_revoked": {
                "type": "tokens_revoked",
                "tokens": {"oauth": [], "bot": [box.workspace.app.user_id]},
            },
            "app_uninstalled": {"type": "app_uninstalled"},
        }
        return answer(event_ids=[self.deliverer.send_event(told[name], box) for name in body.events])
