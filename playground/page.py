"""The browser page: files as they are, under a strict content security policy."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from playground.box import Box

_STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# A persona's picture comes from the gateway, by the address that a browser uses for it.
_LOCAL_IMAGES = "http://127.0.0.1:* http://localhost:*"


def policy(gateway_urls: list[str]) -> str:
    """Scripts and styles from here only; pictures from here and the gateways."""
    origins = sorted(
        {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, gateway_urls) if parts.netloc}
    )
    images = " ".join(["'self'", "data:", _LOCAL_IMAGES, *origins])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True)
class Page:
    """``/`` and ``/static/<name>``"""

    box: Box

    def routes(self) -> list[web.RouteDef]:
        """The page and its files."""
        return [web.get("/", self.index), web.get(r"/static/{name:[a-z_]+\.[a-z]+}", self.file)]

    async def index(self, _: web.Request) -> web.StreamResponse:
        """The page itself."""
        return self._send("index.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """One of its files."""
        return self._send(request.match_info["name"])

    def _send(self, name: str) -> web.StreamResponse:
        path = _STATIC / name
        content_type = _TYPES.get(path.suffix)
        if content_type is None or not path.is_file():
            raise web.HTTPNotFound
        headers = {
            "Content-Type": f"{content_type}; charset=utf-8",
            "Content-Security-Policy": policy(self.box.gateway_urls),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return web.FileResponse(path, headers=headers)
