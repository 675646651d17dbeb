"""Slack's OAuth v2: where a browser is sent, and what a code or a refresh token becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import SecretStr
from slack_sdk.oauth import AuthorizeUrlGenerator

from doppel.slack.client import SlackConnection, sorted_errors
from services.gateway.core.installing import SCOPES


@dataclass(frozen=True)
class OAuth:
    """The app's own credentials at Slack. Calls raise SlackRefused, SlackAway, SlackUnknown."""

    slack: SlackConnection
    api_url: str
    client_id: str
    client_secret: SecretStr
    redirect_uri: str

    def authorize_url(self, state: str, team_id: str | None) -> str:
        """Where somebody allows it; `team_id` is the workspace to suggest."""
        parts = urlsplit(self.api_url)
        generator = AuthorizeUrlGenerator(
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            scopes=SCOPES,
            authorization_url=f"{parts.scheme}://{parts.netloc}/oauth/v2/authorize",
        )
        return generator.generate(state, team=team_id)

    async def exchange(self, code: str) -> Mapping[str, Any]:
        """What a code grants; a code is good once."""
        return await self._access(code=code, redirect_uri=self.redirect_uri)

    async def renew(self, refresh_token: SecretStr) -> Mapping[str, Any]:
        """A new pair; the refresh token is used up by it."""
        return await self._access(grant_type="refresh_token", refresh_token=refresh_token.get_secret_value())

    async def _access(self, **arguments: str) -> Mapping[str, Any]:
        client = self.slack.client("")
        with sorted_errors():
            answer = await client.oauth_v2_access(
                client_id=self.client_id, client_secret=self.client_secret.get_secret_value(), **arguments
            )
        return cast("Mapping[str, Any]", answer.data)
