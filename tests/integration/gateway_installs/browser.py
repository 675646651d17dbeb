"""Somebody with a browser, who installs the app."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.integration.gateway.rig import Rig


@dataclass
class Browser:
    """A cookie jar, and what the last page said."""

    http: aiohttp.ClientSession
    rig: Rig
    replica: int = 0

    async def begin(self) -> dict[str, str]:
        """Click on the link; what Slack is asked for."""
        url = f"{self.rig.replicas[self.replica].url}/slack/install"
        async with self.http.get(url, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            address = urlsplit(answer.headers["Location"])
            assert f"{address.scheme}://{address.netloc}" == self.rig.playground.url
            return {name: values[0] for name, values in parse_qs(address.query).items()}

    async def decide(self, asked: dict[str, str], place: str) -> str:
        """Allow it in a workspace or an organisation, or ('') not; where Slack sends the browser."""
        form = asked | {"place": place}
        url = f"{self.rig.playground.url}/oauth/v2/authorize"
        async with self.http.post(url, data=form, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    async def follow(self, address: str, replica: int = 0) -> tuple[int, str]:
        """Come back to a gateway; what it says. Every page is a plain one."""
        parts = urlsplit(address)
        url = f"{self.rig.replicas[replica].url}{parts.path}?{parts.query}"
        async with self.http.get(url) as answer:
            text = await answer.text()
            assert answer.content_type == "text/html"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Traceback" not in text
            return answer.status, text

    async def install(self, place: str) -> tuple[int, str]:
        """The whole way."""
        return await self.follow(await self.decide(await self.begin(), place))


@contextlib.asynccontextmanager
async def a_browser(rig: Rig) -> AsyncGenerator[Browser]:
    """A fresh one."""
    jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of bare addresses too
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=20)) as http:
        yield Browser(http, rig)
