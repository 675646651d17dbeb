"""An installation by OAuth, from the first click to the row."""

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from doppel.patience import patiently
from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from doppel.transient import is_transient
from services.gateway.adapters.oauth import OAuth
from services.gateway.core.installing import (
    AWAY,
    NOT_TAKEN,
    STALE,
    Grant,
    NotGranted,
    Page,
    grant_of,
    installed_page,
)
from services.gateway.handlers.desk import Desk
from services.gateway.repository import OAuthStates

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0  # somebody looks at a browser
_CODE_REFUSED: Final = frozenset(("invalid_code", "code_already_used", "bad_redirect_uri", "access_denied"))


@dataclass(frozen=True)
class InstallFlow:
    """What the two addresses of an installation do."""

    desk: Desk
    states: OAuthStates
    oauth: OAuth

    async def begin(self, team_id: str | None) -> tuple[str, str] | Page:
        """Where to send the browser, and the secret that it keeps."""
        state, browser = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        try:
            await patiently(lambda: self.states.issue(state, browser), "the database", PATIENCE_S)
        except Exception as error:
            if not is_transient(error):
                raise
            return AWAY
        return self.oauth.authorize_url(state, team_id), browser

    async def finish(self, code: str, state: str, browser: str) -> Page:
        """Install, or say why not. Nothing is written before everything is known."""
        try:
            if not await self.states.consume(state, browser):
                log.warning("a state is unknown, used, too old, or another browser's")
                return STALE
            grant = grant_of(await self.oauth.exchange(code))
            bot_id = await self._bot_id(grant)
            await patiently(
                lambda: self.desk.workspaces.store_grant(grant, bot_id), "the database", PATIENCE_S
            )
        except (SlackRefused, NotGranted) as error:
            reason = error.reason if isinstance(error, SlackRefused) else str(error)
            level = logging.WARNING if reason in _CODE_REFUSED else logging.ERROR
            log.log(level, "an installation was refused", extra={"reason": reason})
            return NOT_TAKEN
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("an installation failed", extra={"error": type(error).__name__})
            return AWAY
        log.info("installed", extra={"team_id": grant.installed_id, "app_id": grant.api_app_id})
        if grant.org_wide:
            await self._adopt_workspaces(grant)
        return installed_page(grant)

    async def _bot_id(self, grant: Grant) -> str:
        """The answer to a code names the bot's user only. Asked twice: the token is new."""
        try:
            me = await self.desk.slack.test(grant.pair.token)
        except (SlackAway, SlackUnknown):
            await asyncio.sleep(0.5)
            me = await self.desk.slack.test(grant.pair.token)
        if me.get("user_id") != grant.bot_user_id:
            raise NotGranted("the token is another bot's")
        return str(me.get("bot_id") or "")

    async def _adopt_workspaces(self, grant: Grant) -> None:
        """Know an organisation's workspaces before anybody speaks in them. The first event makes up for a failure."""
        try:
            for team_id in await self.desk.slack.teams(grant.pair.token):
                await self.desk.workspaces.adopt(team_id, grant.installed_id)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.warning("workspaces not listed", extra={"error": type(error).__name__})
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("workspaces not stored", extra={"error": type(error).__name__})
