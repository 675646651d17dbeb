"""gateway.installations, where tokens end: who renews which, and that no pair is written over a later one."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from doppel.database import Database
from doppel.secrets import TokenBox


@dataclass(frozen=True)
class Renewal:
    """An installation whose token is to be renewed."""

    installed_id: str
    org_wide: bool
    generation: int
    is_over: bool  # it ended already
    sealed: bytes = field(repr=False)


class Renewals:
    """What counts is whose refresh token was used, not who holds the lock: a late writer has the only living pair."""

    def __init__(self, database: Database, box: TokenBox | None) -> None:
        self._database = database
        self._box = box

    async def claim(self, ahead_s: float, lease_s: float) -> Renewal | None:
        """Take one whose token ends within `ahead_s`: nobody else renews it meanwhile."""
        row = await self._database.fetchrow(
            """update gateway.installations set renewing_until = now() + make_interval(secs => $2)
               where team_id = (
                   select team_id from gateway.installations
                   where state = 'active' and refresh_token is not null
                     and expires_at < now() + make_interval(secs => $1)
                     and (renewing_until is null or renewing_until < now())
                   order by expires_at limit 1 for update skip locked)
               returning team_id, org_wide, refresh_token, generation, expires_at < now() as is_over""",
            ahead_s,
            lease_s,
        )
        if row is None:
            return None
        return Renewal(
            row["team_id"], row["org_wide"], row["generation"], row["is_over"], row["refresh_token"]
        )

    def refresh_token(self, renewal: Renewal) -> SecretStr:
        """What renews it. Raises TokenUnreadable."""
        assert self._box is not None
        return SecretStr(self._box.open(renewal.installed_id, renewal.sealed))

    async def store(
        self, renewal: Renewal, token: SecretStr, refresh_token: SecretStr, expires_in_s: int
    ) -> bool:
        """Write the new pair, an organisation's workspaces included. False: somebody installed anew meanwhile."""
        assert self._box is not None
        box, opened = self._box, token.get_secret_value()
        async with self._database.transaction() as connection:
            written = await connection.fetchval(
                """update gateway.installations set bot_token = $3, refresh_token = $4, renewing_until = null,
                          expires_at = now() + make_interval(secs => $5), generation = generation + 1,
                          updated_at = now()
                   where team_id = $1 and generation = $2 returning true""",
                renewal.installed_id,
                renewal.generation,
                box.seal(renewal.installed_id, opened),
                box.seal(renewal.installed_id, refresh_token.get_secret_value()),
                expires_in_s,
            )
            if not written or not renewal.org_wide:
                return bool(written)
            adopted = await connection.fetch(
                """select team_id from gateway.installations
                   where org_wide and enterprise_id = $1 and team_id <> $1 order by team_id for update""",
                renewal.installed_id,
            )
            for row in adopted:
                await connection.execute(
                    """update gateway.installations set bot_token = $2, generation = generation + 1,
                              expires_at = now() + make_interval(secs => $3), updated_at = now()
                       where team_id = $1""",
                    row["team_id"],
                    box.seal(row["team_id"], opened),
                    expires_in_s,
                )
        return True

    async def refused(self, renewal: Renewal, pause_s: float) -> bool:
        """Try again later. False: it was renewed or installed anew meanwhile, so the refusal means nothing."""
        return bool(
            await self._database.fetchval(
                """update gateway.installations set renewing_until = now() + make_interval(secs => $3)
                   where team_id = $1 and generation = $2 returning true""",
                renewal.installed_id,
                renewal.generation,
                pause_s,
            )
        )

    async def expire(self, team_id: str) -> None:
        """Slack says that its token is over: renew it now, whatever our clock says."""
        await self._database.execute(
            """update gateway.installations set expires_at = least(expires_at, now())
               where refresh_token is not null and state = 'active' and team_id in (
                   select case when org_wide then enterprise_id else team_id end
                   from gateway.installations where team_id = $1)""",
            team_id,
        )
