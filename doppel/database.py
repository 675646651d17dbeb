"""The PostgreSQL pool, with a deadline on everything, also on the wait for a free connection."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any, Final

import asyncpg

from doppel.refusals import Refusals
from doppel.settings import DatabaseSettings, SettingsError

QUERY_S: Final = 5.0
CLOSE_S: Final = 5.0
NOT_LET_IN: Final = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


def not_let_in(error: Exception) -> str:
    """One sentence; the server's own names user or database, never a password."""
    return (
        f"PostgreSQL does not let us in: {error.args[0]}. Set DOPPEL_POSTGRES_DSN and, where it holds none, "
        "DOPPEL_POSTGRES_PASSWORD; `doppel db migrate` makes the roles."
    )


class Database:
    """A pool that opens lazily and quietly: `min_size=0` logs nothing during an outage."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._refusals = Refusals()

    async def open(self) -> None:
        """Connect once, so that a wrong password fails at start. Raises SettingsError, asyncpg's and OS errors."""
        if self._pool is None:
            self._pool = await asyncpg.create_pool(
                self._settings.dsn,
                min_size=0,
                max_size=self._settings.postgres_pool_size,
                timeout=QUERY_S,
                command_timeout=QUERY_S,
                init=_speak_json,
            )
        try:
            await self.check()
        except NOT_LET_IN as error:
            raise SettingsError(not_let_in(error)) from error

    async def close(self) -> None:
        """Close within 5 s, or drop the connections."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()
        self._pool = None

    async def check(self) -> None:
        """Raise unless the server answers, and allowed what was asked lately."""
        self._refusals.check()
        await self.fetchval("select 1")

    @contextlib.asynccontextmanager
    async def connection(
        self, timeout_s: float = QUERY_S
    ) -> AsyncGenerator["asyncpg.pool.PoolConnectionProxy[Any]"]:
        """Hold a connection for a short block. Raises TimeoutError past `timeout_s`."""
        if self._pool is None:
            raise asyncpg.InterfaceError("the pool is not open")
        try:
            async with asyncio.timeout(timeout_s), self._pool.acquire() as connection:
                yield connection
        except asyncpg.InsufficientPrivilegeError as error:  # its message names the table, and no row
            self._refusals.note(
                f"PostgreSQL refused us: {error.args[0]}; `doppel db migrate` gives the roles their rights"
            )
            raise

    @contextlib.asynccontextmanager
    async def transaction(
        self, timeout_s: float = QUERY_S
    ) -> AsyncGenerator["asyncpg.pool.PoolConnectionProxy[Any]"]:
        """One short transaction. Never hold it over a call to somebody else."""
        async with self.connection(timeout_s) as connection, connection.transaction():
            yield connection

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        async with self.connection() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """The first row, if any."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row, if any."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """Run it; returns the command tag."""
        async with self.connection() as connection:
            return await connection.execute(query, *args)


async def _speak_json(connection: "asyncpg.Connection[Any]") -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
