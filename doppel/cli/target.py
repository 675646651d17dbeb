"""Which system a command talks to: the addresses in the environment, else the local stack's ``endpoints.json``."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import asyncpg
from pydantic import SecretStr

from doppel.cli.terminal import Failure
from doppel.local import endpoints
from doppel.local.endpoints import Endpoints
from doppel.local.home import Home
from doppel.local.settings import LocalSettings
from doppel.settings import BusSettings, DatabaseSettings, StorageSettings

READER = "reader"
QUERY_S: Final = 5.0


@dataclass(frozen=True)
class Target:
    """Addresses and credentials."""

    local: Endpoints | None

    @classmethod
    def find(cls) -> "Target":
        """Read ``.doppel/endpoints.json``, if a stack runs here."""
        return cls(endpoints.read(Home(LocalSettings.read().home).endpoints))

    @cached_property
    def bus(self) -> BusSettings:
        """How to reach the bus. Raises Failure where nothing says."""
        settings = BusSettings.read()
        if "nats_url" in settings.model_fields_set:
            return settings
        return BusSettings(nats_url=self.stack("DOPPEL_NATS_URL").nats_url)

    @cached_property
    def database(self) -> DatabaseSettings:
        """How to read the tables."""
        settings = DatabaseSettings.read()
        if "postgres_dsn" in settings.model_fields_set:
            return settings
        return DatabaseSettings(
            postgres_dsn=SecretStr(self.stack("DOPPEL_POSTGRES_DSN").postgres_dsns[READER]),
            postgres_pool_size=2,
        )

    @cached_property
    def storage(self) -> StorageSettings:
        """How to reach the bucket."""
        settings = StorageSettings.read()
        if "s3_endpoint" in settings.model_fields_set:
            return settings
        found = self.stack("DOPPEL_S3_ENDPOINT").s3
        return StorageSettings(
            s3_endpoint=found.endpoint,
            s3_access_key=found.access_key,
            s3_secret_key=SecretStr(found.secret_key),
            s3_bucket=found.bucket,
        )

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection to the tables, for the block."""
        connection = await asyncpg.connect(self.database.dsn, timeout=QUERY_S, command_timeout=QUERY_S)
        try:
            yield connection
        finally:
            await connection.close(timeout=QUERY_S)

    def stack(self, variable: str) -> Endpoints:
        """The local stack. Raises Failure; `variable` would name another."""
        if self.local is None:
            raise Failure(
                f"No stack runs here. Start one with `doppel up`, or set {variable} to reach another.",
                code="not_running",
            )
        return self.local
