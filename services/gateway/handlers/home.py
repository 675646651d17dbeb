"""The Home tab: built when somebody opens it, and anew when something that it shows changes."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.slack import AppHomeOpened
from services.gateway.core.home import Own, hash_of, render_home
from services.gateway.core.routing import Installed
from services.gateway.core.standing import Standing
from services.gateway.handlers.desk import Desk
from services.gateway.repository.homes import Home, Homes

log = logging.getLogger(__name__)

AT_ONCE: Final = 20  # tabs that one look takes up
EVERY_S: Final = 5.0  # how often a tab is compared, at most
DAYS: Final = 3  # since it was last opened
UNDER_WAY: Final = 10
CONFLICT: Final = "hash_conflict"


@dataclass(frozen=True)
class HomeTab:
    """One view per person. What it shows is hashed, so nothing is published twice."""

    desk: Desk
    homes: Homes

    async def on_opened(self, opened: AppHomeOpened, installed: Installed) -> None:
        """Somebody looks at it. The messages tab is none of ours to build."""
        if opened.tab == "home":
            await self._build(await self.homes.opened(installed.bot.team_id, opened.user), installed)

    async def refresh(self, installed: Installed, user_id: str) -> None:
        """They pressed something in it."""
        home = await self.homes.fetch(installed.bot.team_id, user_id)
        if home is not None:
            await self._build(home, installed)

    async def sweep(self) -> None:
        """What changed for those who looked lately."""
        standings: dict[str, Standing] = {}
        for home in await self.homes.claim_due(AT_ONCE, EVERY_S, DAYS):
            installed = await self.desk.workspaces.fetch(home.team_id)
            if installed is None:
                await self.homes.leave(home)
                continue
            if home.team_id not in standings:
                standings[home.team_id] = await fetch_standing(self.desk, home.team_id, UNDER_WAY)
            await self._build(home, installed, standings[home.team_id])

    async def _build(self, home: Home, installed: Installed, standing: Standing | None = None) -> None:
        """Publish it where it differs. Slack away: the next look does it."""
        standing = standing or await fetch_standing(self.desk, home.team_id, UNDER_WAY)
        own = Own(
            home.user_id,
            await self.desk.personas.fetch_consent(home.team_id, home.user_id),
            standing.versions.get(home.user_id, 0),
            await self.homes.purge_under_way(home.team_id, home.user_id),
        )
        view = render_home(standing, own)
        shown = hash_of(view)
        if shown == home.shown:
            return
        try:
            view_hash = await self._publish(installed, home, view)
        except SlackRefused as error:
            log.warning("no home tab", extra={"user_id": home.user_id, "reason": error.reason})
            await self.homes.leave(home)
        except (SlackAway, SlackUnknown) as error:
            log.warning("home tab not shown yet", extra={"error": type(error).__name__})
        else:
            await self.homes.published(home, shown, view_hash)

    async def _publish(self, installed: Installed, home: Home, view: dict[str, Any]) -> str | None:
        """Over what we published last. Where that is not what is there, somebody else was faster, or we forgot."""
        slack = self.desk.at(installed)
        try:
            return await slack.publish_home(home.user_id, view, view_hash=home.view_hash)
        except SlackRefused as error:
            if error.reason != CONFLICT:
                raise
        return await slack.publish_home(home.user_id, view, view_hash=None)


async def fetch_standing(desk: Desk, team_id: str, shown: int) -> Standing:
    """Who can answer, who answers where, what is under way."""
    return Standing(
        [(each.user_id, each.name, each.activated_at) for each in await desk.personas.fetch_active(team_id)],
        await desk.voices.fetch(team_id),
        await desk.versions.counts(team_id),
        [(each.user_id, each.state) for each in await desk.trainings.fetch_newest(team_id, shown)],
    )
