"""gateway.installations: the only place where a token lies, encrypted. One row per workspace.

An org-wide installation has a row of its own, under the organisation's id, and one of each of its workspaces that we
met: the same token, sealed for each, so that whoever reads a workspace's row needs to know nothing of organisations.
"""

import logging
from datetime import datetime

from pydantic import SecretStr

from doppel.database import Database
from doppel.secrets import TokenBox, TokenUnreadable
from services.gateway.core.installing import Grant
from services.gateway.core.routing import Bot, Installed

log = logging.getLogger(__name__)

_STORE = """
    insert into gateway.installations as i (team_id, team_name, api_app_id, bot_user_id, bot_id, bot_token,
                                            enterprise_id, org_wide, bot_scopes, refresh_token, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(secs => $11))
    on conflict (team_id) do update set team_name = excluded.team_name, api_app_id = excluded.api_app_id,
        bot_user_id = excluded.bot_user_id, bot_id = excluded.bot_id, bot_token = excluded.bot_token,
        enterprise_id = excluded.enterprise_id, org_wide = excluded.org_wide, bot_scopes = excluded.bot_scopes,
        refresh_token = excluded.refresh_token, expires_at = excluded.expires_at, generation = i.generation + 1,
        renewing_until = null, state = 'active', dead_reason = '', installed_at = now(), updated_at = now()"""
# A workspace of an organisation: taken from its row, unless the workspace has a living installation of its own.
_ADOPT = """
    insert into gateway.installations as i (team_id, api_app_id, bot_user_id, bot_id, bot_token, enterprise_id,
                                            org_wide, bot_scopes, expires_at, installed_at)
    select $1, api_app_id, bot_user_id, bot_id, $2, enterprise_id, true, bot_scopes, expires_at, installed_at
    from gateway.installations where team_id = $3 and org_wide and state = 'active' and generation = $4
    on conflict (team_id) do update set api_app_id = excluded.api_app_id, bot_user_id = excluded.bot_user_id,
        bot_id = excluded.bot_id, bot_token = excluded.bot_token, enterprise_id = excluded.enterprise_id,
        org_wide = true, bot_scopes = excluded.bot_scopes, refresh_token = null, expires_at = excluded.expires_at,
        generation = i.generation + 1, state = 'active', dead_reason = '', installed_at = excluded.installed_at,
        updated_at = now()
    where i.state = 'dead' or i.org_wide"""


class Workspaces:
    """gateway.installations."""

    def __init__(self, database: Database, box: TokenBox | None) -> None:
        self._database = database
        self._box = box

    async def fetch(self, team_id: str, enterprise_id: str | None = None) -> Installed | None:
        """The living installation: the workspace's own, else its organisation's. None: none, or an unreadable token."""
        row = await self._database.fetchrow(
            "select * from gateway.installations where team_id = $1 and state = 'active'", team_id
        )
        if row is None and enterprise_id is not None and await self.adopt(team_id, enterprise_id):
            return await self.fetch(team_id)
        if row is None or self._box is None:
            return None
        bot = Bot(
            team_id,
            row["api_app_id"],
            row["bot_user_id"],
            row["bot_id"],
            row["enterprise_id"],
            row["org_wide"],
        )
        try:
            return Installed(bot, SecretStr(self._box.open(team_id, row["bot_token"])))
        except TokenUnreadable as error:  # one workspace's trouble must not stop the others
            log.error("no token", extra={"team_id": team_id, "reason": str(error)})  # noqa: TRY400
            return None

    async def store(self, found: Installed, team_name: str) -> None:
        """Insert or renew the one workspace of the settings."""
        bot = found.bot
        await self._store(
            bot.team_id, team_name, bot, found.token, org_wide=False, scopes="", refresh=None, seconds=None
        )

    async def store_grant(self, grant: Grant, bot_id: str) -> None:
        """Insert or renew what somebody allowed. One statement: there is no half of it."""
        bot = Bot(grant.installed_id, grant.api_app_id, grant.bot_user_id, bot_id, grant.enterprise_id)
        await self._store(
            grant.installed_id,
            grant.name,
            bot,
            grant.pair.token,
            org_wide=grant.org_wide,
            scopes=grant.scopes,
            refresh=grant.pair.refresh_token,
            seconds=grant.pair.expires_in_s,
        )

    async def _store(
        self,
        installed_id: str,
        name: str,
        bot: Bot,
        token: SecretStr,
        *,
        org_wide: bool,
        scopes: str,
        refresh: SecretStr | None,
        seconds: int | None,
    ) -> None:
        assert self._box is not None
        await self._database.execute(
            _STORE,
            installed_id,
            name,
            bot.api_app_id,
            bot.user_id,
            bot.bot_id,
            self._box.seal(installed_id, token.get_secret_value()),
            bot.enterprise_id,
            org_wide,
            scopes,
            None if refresh is None else self._box.seal(installed_id, refresh.get_secret_value()),
            seconds,
        )

    async def adopt(self, team_id: str, enterprise_id: str) -> bool:
        """Let a workspace have its organisation's installation. False: the organisation has none."""
        org = await self._database.fetchrow(
            """select bot_token, generation from gateway.installations
               where team_id = $1 and org_wide and state = 'active'""",
            enterprise_id,
        )
        if org is None or self._box is None:
            return False
        try:
            token = self._box.open(enterprise_id, org["bot_token"])
        except TokenUnreadable as error:
            log.error("no token", extra={"team_id": enterprise_id, "reason": str(error)})  # noqa: TRY400
            return False
        sealed = self._box.seal(team_id, token)
        await self._database.execute(_ADOPT, team_id, sealed, enterprise_id, org["generation"])
        return True

    async def mark_dead(
        self,
        team_id: str,
        reason: str = "token_dead",
        *,
        only_it: bool = False,
        told_at: datetime | None = None,
    ) -> list[str]:
        """Its token died: stop calling; other workspaces go on. Returns whose work ends.

        An organisation's token takes its workspaces along, unless it is `only_it` that lost its access. What was
        installed after `told_at` stays: the news is older.
        """
        rows = await self._database.fetch(
            """update gateway.installations i set state = 'dead', dead_reason = $2, updated_at = now()
               where state = 'active' and ($4::timestamptz is null or installed_at < $4 + interval '1 second')
                 and (team_id = $1 or (not $3 and org_wide and enterprise_id = (
                     select enterprise_id from gateway.installations where team_id = $1 and org_wide)))
               returning team_id""",
            team_id,
            reason[:100],
            only_it or reason == "team_access_not_granted",
            told_at,
        )
        return [row["team_id"] for row in rows]

    async def newest_corpus_at(self, team_id: str) -> datetime | None:
        """When the scraper last read this workspace; None: never."""
        return await self._database.fetchval(
            "select max(created_at) from scraper.corpora where team_id = $1", team_id
        )
