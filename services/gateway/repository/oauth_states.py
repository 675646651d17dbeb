"""gateway.oauth_states: installations under way, good once, on whichever replica the browser comes back to."""

import hashlib

from doppel.database import Database
from services.gateway.core.installing import TTL_S


class OAuthStates:
    """Only hashes are stored: who reads the table can finish nobody's installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, state: str, browser: str) -> None:
        """Remember one for ten minutes; what is older goes."""
        async with self._database.transaction() as connection:
            await connection.execute("delete from gateway.oauth_states where expires_at < now()")
            await connection.execute(
                """insert into gateway.oauth_states (state_sha256, browser_sha256, expires_at)
                   values ($1, $2, now() + make_interval(secs => $3))""",
                _hash(state),
                _hash(browser),
                float(TTL_S),
            )

    async def consume(self, state: str, browser: str) -> bool:
        """Use it up. False: used before, too old, unknown, or another browser's (whose it stays)."""
        return bool(
            await self._database.fetchval(
                """delete from gateway.oauth_states
                   where state_sha256 = $1 and browser_sha256 = $2 and expires_at >= now() returning true""",
                _hash(state),
                _hash(browser),
            )
        )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
