"""Ephemeral answers through a command's ``response_url``: a bearer secret that only ever goes to Slack's own host."""

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

log = logging.getLogger(__name__)

SLACK_HOST = "hooks.slack.com"


@dataclass(frozen=True)
class ResponseUrls:
    """Posts to ``https://hooks.slack.com/…``, or to the playground where that is the configured Slack."""

    session: aiohttp.ClientSession
    slack_api_url: str

    def is_allowed(self, url: str) -> bool:
        """Slack's host over https, or exactly the origin of the configured API."""
        parts, api = urlsplit(url), urlsplit(self.slack_api_url)
        if parts.username or parts.password:
            return False
        if api.hostname == "slack.com":
            return (parts.scheme, parts.hostname, parts.port) == ("https", SLACK_HOST, None)
        return (parts.scheme, parts.netloc) == (api.scheme, api.netloc)

    async def tell(self, url: str, text: str) -> None:
        """Say one sentence to the person who typed or pressed. A courtesy: if it can't be said, that is logged."""
        if not url or not self.is_allowed(url):
            return
        try:
            body = {"response_type": "ephemeral", "replace_original": False, "text": text}
            async with self.session.post(url, json=body, allow_redirects=False) as response:
                log.info("told in private", extra={"status": response.status})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("not told in private", extra={"error": type(error).__name__})
