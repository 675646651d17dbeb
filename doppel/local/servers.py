"""The three servers together, and what is set up in them before any service starts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from doppel.basemodel.prepare import prepare
from doppel.bucket_access import ADMIN
from doppel.bus import provision
from doppel.bus.access import OPS
from doppel.local import nats, postgres, s3
from doppel.local.home import Home, Ports, Secrets
from doppel.local.supervisor import Supervisor
from doppel.migrate import migrate
from doppel.settings import BusSettings, StorageSettings
from doppel.storage import Storage
from doppel.transient import is_transient

NAMES = ("s3", "postgres", "nats")  # in the order in which they stop
SETUP_S = 60.0


@dataclass(frozen=True)
class Servers:
    """Bus, state and artifacts of one state folder. `sync` off: for tests, where no power is lost."""

    home: Home
    secrets: Secrets
    ports: Ports
    supervisor: Supervisor
    sync: bool = True

    async def start(self) -> None:
        """Start all three and wait until they serve. Raises ChildFailed."""
        cluster = postgres.make_cluster(self.home, self.secrets, sync=self.sync)
        self.supervisor.launch(
            nats.child(self.home, self.secrets, self.ports, sync=self.sync),
            s3.child(self.home, self.secrets, self.ports),
        )
        await cluster
        self.supervisor.launch(postgres.child(self.home, self.secrets, self.ports, sync=self.sync))
        await self.supervisor.until_ready(NAMES)
        await postgres.make_database(self.secrets, self.ports)

    async def stop(self) -> None:
        """Stop them one after the other."""
        for name in NAMES:
            await self.supervisor.stop([name])

    async def set_up(
        self,
        *,
        ack_wait_s: float | None = None,
        base_model: str | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Streams and durables, tables and roles, the bucket, the base model. Idempotent."""
        report("streams and durables")
        await provision.apply(self.bus_settings(ack_wait_s))
        report("tables and roles")
        await migrate(self.dsn(), self.secrets.role_passwords)
        storage = Storage(self.storage_settings())
        try:
            report("bucket")
            await _when_it_can(storage)
            if base_model is not None:
                report("base model")
                await prepare(storage, base_model, self.home.cache / "base-model")
        finally:
            storage.close()

    @property
    def nats_url(self) -> str:
        """The bus, with the operator's password."""
        return nats.url(self.secrets, self.ports)

    def dsn(self, role: str = postgres.OWNER) -> str:
        """The database, as its owner, as a service (`gateway` …) or as the operator's `reader`."""
        return postgres.dsn(self.secrets, self.ports, role=role)

    def bus_settings(self, ack_wait_s: float | None = None, *, user: str = OPS) -> BusSettings:
        """How to reach the bus, as the operator or as a service."""
        return BusSettings(
            nats_url=nats.url(self.secrets, self.ports, user=None),
            nats_user=user,
            nats_password=SecretStr(self.secrets.nats_passwords[user]),
            ack_wait_s=ack_wait_s,
        )

    def storage_settings(self, user: str = ADMIN) -> StorageSettings:
        """How to reach the bucket, as its administrator, as a service or as the operator's command."""
        return StorageSettings(
            s3_endpoint=s3.endpoint(self.ports),
            s3_access_key=user,
            s3_secret_key=SecretStr(self.secrets.s3_keys[user]),
            s3_bucket=s3.BUCKET,
        )


async def _when_it_can(storage: Storage) -> None:
    """Make the bucket, and write once: SeaweedFS answers its health check before it can hold anything."""
    async with asyncio.timeout(SETUP_S):
        while True:
            try:
                await storage.ensure_bucket()
                await storage.put_bytes("models/.ready", b"")
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(0.1)
            else:
                return
