"""gateway.installations: the only place where a token lies, encrypted."""

import logging
from datetime import datetime

from pydantic import SecretStr

from doppel.database import Database
from doppel.secrets import TokenBox, TokenUnreadable
from services.gateway.core.routing import Bot, Installed

log = logging.getLogger(__name__)


class Workspaces:
    """gateway.installations."""

    def __init__(self, database: Database, box: TokenBox | None) -> None:
        self._database = database
        self._box = box

    async def fetch(self, team_id: str) -> Installed | None:
        """The living installation; None too where its token can't be read with the keys at hand."""
        row = await self._database.fetchrow(
            "select * from gateway.installations where team_id = $1 and state = 'active'", team_id
        )
        if row is None or self._box is None:
            return None
        bot = Bot(team_id, row["api_app_id"], row["bot_user_id"], row["bot_id"])
        try:
            return Installed(bot, SecretStr(self._box.open(team_id, row["bot_token"])))
        except TokenUnreadable as error:  # one workspace's trouble must not stop the others
            log.error("no token", extra={"team_id": team_id, "reason": str(error)})  # noqa: TRY400
            return None

    async def store(self, found: Installed, team_name: str) -> None:
        """Insert or renew."""
        assert self._box is not None
        bot = found.bot
        await self._database.execute(
            """insert into gateway.installations (team_id, team_name, api_app_id, bot_user_id, bot_id, bot_token)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (team_id) do update set team_name = excluded.team_name, api_app_id = excluded.api_app_id,
                   bot_user_id = excluded.bot_user_id, bot_id = excluded.bot_id, bot_token = excluded.bot_token,
                   state = 'active', updated_at = now()""",
            bot.team_id,
            team_name,
            bot.api_app_id,
            bot.user_id,
            bot.bot_id,
            self._box.seal(bot.team_id, found.token.get_secret_value()),
        )

    async def mark_dead(self, team_id: str) -> None:
        """Its token died: stop calling; other workspaces go on."""
        await self._database.execute(
            "update gateway.installations set state = 'dead', updated_at = now() where team_id = $1", team_id
        )

    async def newest_corpus_at(self, team_id: str) -> datetime | None:
        """When the scraper last read this workspace; None: never."""
        return await self._database.fetchval(
            "select max(created_at) from scraper.corpora where team_id = $1", team_id
        )
