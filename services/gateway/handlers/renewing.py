"""Tokens that end are renewed two hours before: one replica each, under a lock in the row."""

import logging
from dataclasses import dataclass
from typing import Final

from doppel.patience import patiently
from doppel.secrets import TokenUnreadable
from doppel.slack.client import TOKEN_DEAD, SlackAway, SlackRefused, SlackUnknown
from services.gateway.adapters.oauth import OAuth
from services.gateway.core.installing import NotGranted, pair_of
from services.gateway.handlers.desk import Desk
from services.gateway.repository import Renewal, Renewals

log = logging.getLogger(__name__)

AHEAD_S: Final = 2 * 3600.0
LEASE_S: Final = 60.0
REFUSED_PAUSE_S: Final = 600.0
KEEP_PAIR_S: Final = 600.0  # a refresh token is good once: the pair that it gave is worth waiting for
_PAIR_DEAD: Final = TOKEN_DEAD | {"invalid_refresh_token"}


@dataclass(frozen=True)
class Renewer:
    """Renews what is due."""

    desk: Desk
    renewals: Renewals
    oauth: OAuth

    async def sweep(self) -> None:
        """Everything that is due, one after the other."""
        for team_id in self.desk.slack.take_expired():
            await self.renewals.expire(team_id)
        while (renewal := await self.renewals.claim(AHEAD_S, LEASE_S)) is not None:
            await self._renew(renewal)

    async def _renew(self, renewal: Renewal) -> None:
        ids = {"team_id": renewal.installed_id}
        try:
            pair = pair_of(await self.oauth.renew(self.renewals.refresh_token(renewal)))
        except (SlackAway, SlackUnknown) as error:  # the end of the lock is the pause
            log.warning("token not renewed yet", extra=ids | {"error": type(error).__name__})
            return
        except (SlackRefused, TokenUnreadable, NotGranted) as error:
            await self._refused(
                renewal, error.reason if isinstance(error, SlackRefused) else type(error).__name__
            )
            return
        if pair.refresh_token is None or pair.expires_in_s is None:
            await self._refused(renewal, "no refresh token in the answer")
            return
        token, refresh_token, seconds = pair.token, pair.refresh_token, pair.expires_in_s
        written = await patiently(
            lambda: self.renewals.store(renewal, token, refresh_token, seconds), "the database", KEEP_PAIR_S
        )
        log.info("token renewed", extra=ids | {"written": written})

    async def _refused(self, renewal: Renewal, reason: str) -> None:
        """Used by somebody else, it was renewed; else somebody must install again."""
        if not await self.renewals.refused(renewal, REFUSED_PAUSE_S):
            return
        log.error("token not renewed", extra={"team_id": renewal.installed_id, "reason": reason})
        if renewal.is_over and reason in _PAIR_DEAD:
            await self.desk.workspaces.mark_dead(renewal.installed_id, reason)
