"""One ``/doppel …`` as it was asked, however it came: typed, or by the form."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proto.body import derived_id
from proto.slack import SlashCommand
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.routing import Installed


@dataclass(frozen=True)
class Asked:
    """What each of the commands needs to know."""

    command: SlashCommand
    installed: Installed
    slack: SlackWorkspace
    received_at: datetime

    @property
    def team_id(self) -> str:
        """Whose installation answers."""
        return self.installed.bot.team_id

    @property
    def user_id(self) -> str:
        """Who asks."""
        return self.command.user_id

    def derived_id(self, what: str) -> UUID:
        """Delivered once more it is the same."""
        return derived_id(what, self.command.api_app_id, self.command.trigger_id)
