"""The form: opened by a command, a button or a shortcut; sent off, it is a command like any other."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from doppel.secrets import TokenUnreadable
from proto.slack import Interaction, SlashCommand, View
from services.gateway.core.menu import MENU, OPEN, command_of, is_menu
from services.gateway.core.reply import Post
from services.gateway.core.routing import Installed
from services.gateway.handlers.command import Commands
from services.gateway.handlers.desk import Desk, make_notice
from services.gateway.handlers.opening import Opener
from services.gateway.handlers.posting import Poster

log = logging.getLogger(__name__)

TOO_OLD: Final = "That form is too old. Open it again with /doppel menu."


@dataclass(frozen=True)
class Menus:
    """What comes of the form."""

    desk: Desk
    poster: Poster
    opener: Opener
    commands: Commands

    async def on_interaction(self, pressed: Interaction, installed: Installed, received_at: datetime) -> bool:
        """True: it was about the form, and is done."""
        view = pressed.view
        if pressed.type == "view_submission" and view is not None and is_menu(view):
            await self._submitted(pressed, view, installed, received_at)
            return True
        is_shortcut = pressed.type == "shortcut" and pressed.callback_id == MENU
        if is_shortcut or any(action.action_id == OPEN for action in pressed.actions):
            channel = pressed.container.channel_id or ""
            post = await self.opener.open(
                installed, pressed.trigger_id, channel=channel, response_url=pressed.response_url
            )
            if post is not None:
                await self._say(pressed, installed, post)
            return True
        return False

    async def _submitted(
        self, pressed: Interaction, view: View, installed: Installed, received_at: datetime
    ) -> None:
        """As if it had been typed where the form was opened."""
        team_id = installed.bot.team_id
        try:
            place = json.loads(self._unsealed(team_id, view.private_metadata))
        except (TokenUnreadable, ValueError):
            log.warning("a form that is none of ours", extra={"team_id": team_id})
            await self._say(pressed, installed, await self.desk.sentence(team_id, TOO_OLD))
            return
        channel = place["channel"] or await self.desk.at(installed).open_dm(pressed.user.id)
        command = SlashCommand(
            team_id=team_id,
            api_app_id=pressed.api_app_id,
            channel_id=channel,
            user_id=pressed.user.id,
            command="/doppel",
            text=command_of(view),
            trigger_id=pressed.trigger_id,
            response_url=place["url"],
        )
        await self.commands.on_command(command, installed, received_at, from_form=True)

    def _unsealed(self, team_id: str, metadata: str) -> str:
        if self.desk.box is None:
            raise TokenUnreadable("no key")
        return self.desk.box.open(team_id, metadata.encode())

    async def _say(self, pressed: Interaction, installed: Installed, post: Post) -> None:
        row = await make_notice(
            self.desk,
            installed,
            channel=pressed.container.channel_id or "",
            trigger=f"menu#{pressed.trigger_id}",
            asked_by=pressed.user.id,
            response_url=pressed.response_url,
            post=post,
        )
        await self.desk.outbox.receive(pressed.api_app_id, pressed.trigger_id, row)
        await self.poster.post_due(row.request_id)
