"""OAuth v2, Slack's side: the page where somebody allows the app, and the methods that turn codes into tokens."""

import base64
import binascii
import html
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from playground.api.call import SCOPES, Answer, ApiError, Call
from playground.box import Box
from playground.installs import granted

CREDENTIALS_ONLY = frozenset({"oauth.v2.access", "apps.uninstall"})


@dataclass(frozen=True)
class Authorize:
    """``/oauth/v2/authorize``"""

    box: Box

    def routes(self) -> list[web.RouteDef]:
        """The question and its answer."""
        return [
            web.get("/oauth/v2/authorize", self.ask),
            web.post("/oauth/v2/authorize", self.decide),
        ]

    async def ask(self, request: web.Request) -> web.Response:
        """Show what is asked for: a form per place where it may go."""
        asked = self._asked({**request.query})
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
            for name, value in asked.items()
        )
        places = "".join(
            f'<button name="place" value="{place}">Allow in {html.escape(name)}</button> '
            for place, name in self.box.places().items()
        )
        text = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Install doppel</title>'
            f"<h1>doppel asks for access</h1><p>{html.escape(asked['scope'])}</p>"
            f'<form method="post">{hidden}{places}<button name="place" value="">Cancel</button></form>'
        )
        return web.Response(text=text, content_type="text/html")

    async def decide(self, request: web.Request) -> web.Response:
        """Send the browser back, with a code or with the error."""
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        asked = self._asked(fields)
        place = fields.get("place", "")
        if not place:
            told = {"error": "access_denied", "state": asked["state"]}
        elif place not in self.box.places():
            raise web.HTTPBadRequest(text="no such workspace")
        else:
            told = {
                "code": self.box.installs.allow(place, asked["redirect_uri"]),
                "state": asked["state"],
            }
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(told)}")

    def _asked(self, fields: dict[str, str]) -> dict[str, str]:
        if fields.get("client_id") != self.box.settings.client_id:
            raise web.HTTPBadRequest(text="invalid_client_id")
        redirect_uri = fields.get("redirect_uri", "")
        if urlsplit(redirect_uri).scheme not in ("http", "https"):
            raise web.HTTPBadRequest(text="bad_redirect_uri")
        kept = ("client_id", "redirect_uri", "scope", "state")
        return {name: fields.get(name, "") for name in kept}


def access(call: Call) -> Answer:
    """oauth.v2.access: a code, or a refresh token, becomes a token."""
    _check_credentials(call)
    installs, box = call.box.installs, call.box
    if call.text("grant_type") == "refresh_token":
        install = installs.refresh(call.text("refresh_token") or "")
    else:
        install = installs.exchange(call.text("code") or "", call.text("redirect_uri") or "")
    enterprise_id = box.settings.enterprise_id
    enterprise = {"id": enterprise_id, "name": "Playground Org"} if enterprise_id else None
    team = {"id": install.installed_id, "name": box.places().get(install.installed_id, "")}
    app = box.workspace.app
    return granted(
        install, app_id=app.app_id, bot_user_id=app.user_id, scope=SCOPES, team=team, enterprise=enterprise
    )


def _check_credentials(call: Call) -> None:
    """Basic authentication, or both in the form."""
    settings = call.box.settings
    scheme, _, given = call.authorization.partition(" ")
    client_id, secret = call.text("client_id") or "", call.text("client_secret") or ""
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            raise ApiError("invalid_client_id") from None
    if client_id != settings.client_id:
        raise ApiError("invalid_client_id")
    if not secrets.compare_digest(secret.encode(), settings.client_secret.get_secret_value().encode()):
        raise ApiError("bad_client_secret")


def teams_list(call: Call) -> Answer:
    """auth.teams.list: the workspaces of the token."""
    teams: list[dict[str, Any]] = [
        {"id": team_id, "name": name}
        for team_id, name in call.box.places().items()
        if team_id.startswith("T") and team_id in call.box.teams_of(call.token)
    ]
    return {"teams": teams, "response_metadata": {"next_cursor": ""}}


METHODS = {"oauth.v2.access": access, "auth.teams.list": teams_list}
