"""An installation's addresses: `/slack/install` sends a browser to Slack, `/slack/oauth_redirect` takes it back."""

import html
import logging
from typing import Final, Protocol

from aiohttp import web

from services.gateway.core.installing import DENIED, STALE, TTL_S, Page, is_code, is_secret, is_team

log = logging.getLogger(__name__)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Flow(Protocol):
    """What an installation does."""

    async def begin(self, team_id: str | None) -> tuple[str, str] | Page:
        """Where to send the browser, and the secret that it keeps."""
        ...

    async def finish(self, code: str, state: str, browser: str) -> Page:
        """Install, or say why not."""
        ...


class OAuthWeb:
    """Speaks with browsers."""

    def __init__(self, flow: Flow, *, public_url: str) -> None:
        self._flow = flow
        self._secure = public_url.startswith("https://")
        # The prefix keeps other hosts and plain http from setting it; browsers refuse it without https.
        self._cookie = "__Host-doppel-install" if self._secure else "doppel-install"

    def routes(self) -> list[web.RouteDef]:
        """Both. HEAD is refused: what merely looks at a link must not use it up."""
        return [
            web.get("/slack/install", self.install, allow_head=False),
            web.get("/slack/oauth_redirect", self.redirect, allow_head=False),
        ]

    async def install(self, request: web.Request) -> web.Response:
        """Off to Slack."""
        team_id = request.query.get("team")
        begun = await self._flow.begin(team_id if is_team(team_id) else None)
        if isinstance(begun, Page):
            return _shown(begun)
        url, browser = begun
        response = web.Response(status=302, headers=_HEADERS | {"Location": url})
        response.set_cookie(
            self._cookie, browser, max_age=TTL_S, path="/", secure=self._secure, httponly=True, samesite="Lax"
        )
        return response

    async def redirect(self, request: web.Request) -> web.Response:
        """Back from Slack, or from whoever pretends to be."""
        query = request.query
        if "error" in query:
            log.info("an installation was not allowed")
            return _shown(DENIED)
        code, state = _only(query.getall("code", [])), _only(query.getall("state", []))
        browser = request.cookies.get(self._cookie)
        if code is None or state is None or browser is None or not is_code(code):
            return _shown(STALE)
        if not is_secret(state) or not is_secret(browser):
            return _shown(STALE)
        page = await self._flow.finish(code, state, browser)
        response = _shown(page)
        if page.status == 200:  # a forged link must not spoil an installation under way
            response.del_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="Lax")
        return response


def _only(values: list[str]) -> str | None:
    return values[0] if len(values) == 1 else None


def _shown(page: Page) -> web.Response:
    title, text = html.escape(page.title), html.escape(page.text)
    body = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><p>{text}</p>'
    return web.Response(status=page.status, text=body, content_type="text/html", headers=_HEADERS)
