"""Opening the form within the three seconds that Slack gives; else a button that opens it."""

import json
import logging
from dataclasses import dataclass

from doppel.slack.client import SlackRefused, SlackUnknown
from services.gateway.core.menu import render_button, render_menu
from services.gateway.core.reply import Post
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opener:
    """The form remembers, sealed, where it was opened: that is where the answer goes."""

    desk: Desk

    async def open(
        self, installed: Installed, trigger_id: str, *, channel: str, response_url: str
    ) -> Post | None:
        """None: it is open. Else what to say instead."""
        team_id = installed.bot.team_id
        if self.desk.box is None:
            return render_button()
        place = json.dumps({"channel": channel, "url": response_url})
        view = render_menu(self.desk.box.seal(team_id, place).decode(), has_channel=bool(channel))
        try:
            await self.desk.at(installed).open_view(trigger_id, view)
        except SlackRefused as error:
            log.warning("the form was not opened", extra={"team_id": team_id, "reason": error.reason})
            return render_button()
        except SlackUnknown:  # it is open, or its three seconds are over
            return render_button()
        return None
