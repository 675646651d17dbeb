"""Single-workspace mode: the token of the environment becomes the workspace's row, the only place it is read from."""

import logging
from typing import Final

from pydantic import SecretStr

from doppel.lifecycle import Lifecycle
from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from doppel.transient import is_transient
from services.gateway.core.routing import Bot, Installed
from services.gateway.handlers.desk import Desk

log = logging.getLogger(__name__)

TRY_AGAIN_S: Final = 1.0
SAY_SO_EVERY: Final = 10


class Installer:
    """Asks Slack whose token it is, as often as it takes."""

    def __init__(self, desk: Desk, token: SecretStr | None) -> None:
        self._desk = desk
        self._token = token
        self.is_pending = token is not None

    async def run(self, lifecycle: Lifecycle) -> None:
        """Until it is done, or the service stops; one line each ten seconds while Slack is away or says no."""
        tries = 0
        while self.is_pending and self._token is not None:
            try:
                await self._install(self._token)
            except (SlackRefused, SlackAway, SlackUnknown) as error:
                self._say(tries, getattr(error, "reason", type(error).__name__))
            except Exception as error:
                if not is_transient(error):
                    raise
                self._say(tries, type(error).__name__)
            else:
                self.is_pending = False
                return
            tries += 1
            if await lifecycle.pause(TRY_AGAIN_S):
                return

    async def _install(self, token: SecretStr) -> None:
        me = await self._desk.slack.who_am_i(token)
        bot = Bot(str(me["team_id"]), str(me["app_id"]), str(me["user_id"]), str(me.get("bot_id") or ""))
        await self._desk.workspaces.store(Installed(bot, token), str(me.get("team") or ""))
        log.info("installed", extra={"team_id": bot.team_id, "app_id": bot.api_app_id})

    @staticmethod
    def _say(tries: int, why: str) -> None:
        if tries % SAY_SO_EVERY == 0:
            log.warning("waiting for Slack to say whose DOPPEL_SLACK_BOT_TOKEN it is", extra={"why": why})
