"""Answering a command or a button through its response_url: seen by one person, and only for half an hour."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown

SLACK_HOST: Final = "hooks.slack.com"
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
OK: Final = 200


class ResponseUrls:
    """Posts to Slack's own host, or to the configured playground's; a response_url is told by a request."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str) -> None:
        self._session = session
        self._playground = urlsplit(api_url) if urlsplit(api_url).hostname != "slack.com" else None

    def is_allowed(self, url: str) -> bool:
        """Is it where Slack (or the playground) takes answers?"""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        if parts.username or parts.password:
            return False
        ours = self._playground
        if ours is not None and (parts.scheme, parts.hostname, port) == (
            ours.scheme,
            ours.hostname,
            ours.port,
        ):
            return True
        return (parts.scheme, parts.hostname, port) == ("https", SLACK_HOST, None)

    async def say(self, url: str, text: str, blocks: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Show something to whoever typed or pressed. Raises SlackRefused, SlackAway, SlackUnknown."""
        body: dict[str, Any] = {"response_type": "ephemeral", "replace_original": False, "text": text}
        if blocks:
            body["blocks"] = blocks
        await self._post(url, body)

    async def replace(self, url: str, post: Mapping[str, Any]) -> None:
        """Change what only one person sees: there is no other way. The same twice is the same."""
        await self._post(url, {"replace_original": True, **post})

    async def _post(self, url: str, body: Mapping[str, Any]) -> None:
        if not self.is_allowed(url):
            raise SlackRefused("response_url_not_slacks")
        try:
            async with self._session.post(url, json=body, allow_redirects=False) as response:
                status = response.status
        except aiohttp.ClientConnectorError as error:
            raise SlackAway("Slack can't be reached.") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlackUnknown("Slack did not answer.") from error
        if status == TOO_MANY_REQUESTS:
            raise SlackAway("Slack asks to wait.", delay_s=30)
        if status >= SERVER_ERROR:
            raise SlackUnknown("Slack failed half-way.")
        if status != OK:
            raise SlackRefused(f"response_url_{status}")
