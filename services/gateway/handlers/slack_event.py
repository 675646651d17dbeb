"""``slack.event``: whose workspace it is, and what kind of thing."""

import logging
from dataclasses import dataclass

from doppel.bus import Delivery
from proto.errors import TransientError
from proto.slack import AppHomeOpened, EventCallback, MemberJoined, ReactionAdded, SlackEvent, SlashCommand
from services.gateway.core.home import HOME
from services.gateway.handlers.button import Buttons
from services.gateway.handlers.command import Commands
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.home import HomeTab
from services.gateway.handlers.installing import Installer
from services.gateway.handlers.lives import Lives
from services.gateway.handlers.mention import Mentions
from services.gateway.handlers.menu import Menus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SlackEvents:
    """Takes what the door let in."""

    desk: Desk
    installer: Installer
    mentions: Mentions
    commands: Commands
    buttons: Buttons
    menus: Menus
    lives: Lives
    moderator: Moderator
    home: HomeTab

    async def on_slack_event(self, event: SlackEvent, delivery: Delivery) -> None:
        """One delivery of Slack's; a repeated one finds its rows and goes on where it stopped."""
        payload = event.payload
        if isinstance(payload, EventCallback):
            if await self.lives.on_event(payload):
                return
            team_id, enterprise_id = payload.installed_team_id, payload.installed_enterprise_id
        else:
            team_id, enterprise_id = payload.team_id, payload.enterprise_id
        installed = await self.desk.workspaces.fetch(team_id, enterprise_id)
        if installed is None:
            if self.installer.is_pending:
                raise TransientError("The installation is not known yet.", delay_s=2)
            log.warning("not installed there", extra={"team_id": team_id})
            return
        async with delivery.heartbeat():  # Slack may be slow, call after call
            if isinstance(payload, EventCallback) and isinstance(payload.event, MemberJoined):
                await self.lives.on_joined(payload.event, installed)
            elif isinstance(payload, EventCallback) and isinstance(payload.event, ReactionAdded):
                await self.moderator.on_reaction(payload.event, installed)
            elif isinstance(payload, EventCallback) and isinstance(payload.event, AppHomeOpened):
                await self.home.on_opened(payload.event, installed)
            elif isinstance(payload, EventCallback):
                await self.mentions.on_event(payload, installed)
            elif isinstance(payload, SlashCommand):
                received_at = event.received_at or delivery.stored_at
                await self.commands.on_command(payload, installed, received_at)
            else:
                received_at = event.received_at or delivery.stored_at
                if not await self.menus.on_interaction(payload, installed, received_at):
                    await self.buttons.on_interaction(payload, installed, received_at)
                if payload.view is not None and payload.view.callback_id == HOME:
                    await self.home.refresh(installed, payload.user.id)
