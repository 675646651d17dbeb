"""gateway.installations: the only place where a token lies, encrypted."""

from dataclasses import dataclass, field

from doppel.database import Database
from doppel.secrets import TokenBox
from services.gateway.core.routing import Identity


@dataclass(frozen=True)
class Installation:
    """One workspace that we are installed in."""

    team_id: str
    identity: Identity
    token: str = field(repr=False)


class Workspaces:
    """gateway.installations."""

    def __init__(self, database: Database, box: TokenBox) -> None:
        self._database = database
        self._box = box

    async def fetch(self, team_id: str) -> Installation | None:
        """The living installation. Raises TokenUnreadable."""
        row = await self._database.fetchrow(
            "select * from gateway.installations where team_id = $1 and state = 'active'", team_id
        )
        if row is None:
            return None
        identity = Identity(row["bot_user_id"], row["bot_id"], row["api_app_id"])
        return Installation(team_id, identity, self._box.open(team_id, row["bot_token"]))

    async def store(self, found: Installation, team_name: str) -> None:
        """Insert or renew."""
        me = found.identity
        await self._database.execute(
            """insert into gateway.installations (team_id, team_name, api_app_id, bot_user_id, bot_id, bot_token)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (team_id) do update set team_name = excluded.team_name, api_app_id = excluded.api_app_id,
                   bot_user_id = excluded.bot_user_id, bot_id = excluded.bot_id, bot_token = excluded.bot_token,
                   state = 'active', updated_at = now()""",
            found.team_id,
            team_name,
            me.app_id,
            me.bot_user_id,
            me.bot_id,
            self._box.seal(found.team_id, found.token),
        )

    async def mark_dead(self, team_id: str) -> None:
        """Its token died: stop calling; other workspaces go on."""
        await self._database.execute(
            "update gateway.installations set state = 'dead', updated_at = now() where team_id = $1", team_id
        )

    async def has_corpus(self, team_id: str) -> bool:
        """Has the scraper read this workspace before?"""
        return bool(
            await self._database.fetchval(
                "select exists (select from scraper.corpora where team_id = $1)", team_id
            )
        )
