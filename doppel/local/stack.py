"""The whole system on one machine: servers, what is set up in them, services, playground."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from doppel.bucket_access import ADMIN
from doppel.local import endpoints, processes, s3
from doppel.local.checks import check_machine
from doppel.local.endpoints import Endpoints, S3Endpoint
from doppel.local.home import Home, Ports
from doppel.local.servers import NAMES, Servers
from doppel.local.services import Fleet
from doppel.local.settings import LocalSettings
from doppel.local.supervisor import State, Supervisor
from doppel.settings import SettingsError

Report = Callable[[str], None]
SUPERVISOR: Final = "supervisor"
SLOWEST: Final = "inference"  # its engine loads for most of a minute


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    home: Home
    servers: Servers
    fleet: Fleet
    supervisor: Supervisor

    @property
    def endpoints(self) -> Endpoints:
        """Every address and credential, and who runs right now."""
        children = self.supervisor.children
        expected = {*NAMES, *(child for child in self.fleet.metrics())}
        serving = {name for name, running in children.items() if running.state is State.READY}
        servers, urls = self.servers, self.fleet.gateway_urls
        return Endpoints(
            ready=expected <= serving,
            base_model=self.fleet.settings.base_model,
            nats_url=servers.nats_url,
            nats_monitor_url=f"http://127.0.0.1:{servers.ports.pick('nats-monitor')}",
            postgres_dsn=servers.dsn(),
            postgres_dsns={role: servers.dsn(role) for role in servers.secrets.role_passwords},
            s3=S3Endpoint(
                endpoint=s3.endpoint(servers.ports),
                access_key=ADMIN,
                secret_key=servers.secrets.s3_secret_key,
                bucket=s3.BUCKET,
            ),
            gateway_url=urls[0],
            gateway_urls=urls,
            playground_url=self.fleet.playground_url,
            signing_secret=self.fleet.signing_secret,
            metrics=self.fleet.metrics(),
            pids=self.supervisor.pids,
        )

    def write_endpoints(self) -> None:
        """Bring ``endpoints.json`` up to date."""
        endpoints.write(self.home.endpoints, self.endpoints)

    async def up(self, settings: LocalSettings, report: Report, *, not_yet: str | None = None) -> None:
        """Servers, set-up, services; returns when every one serves, or all but the service `not_yet`.

        Raises ChildFailed.
        """
        report("nats-server, PostgreSQL, S3")
        await self.servers.start()
        await self.servers.set_up(
            ack_wait_s=settings.ack_wait_s, base_model=settings.base_model, report=report
        )
        children = self.fleet.children()
        self.supervisor.launch(*children)
        await self.until_serving(
            (child.name for child in children if not _is_of(child.name, not_yet)), report
        )
        self.write_endpoints()

    async def until_serving(self, names: Iterable[str], report: Report) -> None:
        """Wait for these, the slowest last. Raises ChildFailed."""
        for name in sorted(names, key=lambda name: _is_of(name, SLOWEST)):
            report(name)
            await self.supervisor.until_ready([name])

    async def until_all_serve(self, report: Report) -> None:
        """Wait for what `up` did not wait for."""
        await self.until_serving(self.fleet.replicas, report)
        self.write_endpoints()

    async def down(self, report: Report) -> None:
        """Services and playground drain together, then S3, PostgreSQL and nats-server end, in this order."""
        report("services")
        await self.supervisor.stop([name for name in self.supervisor.children if name not in NAMES])
        report("S3, PostgreSQL, nats-server")
        await self.servers.stop()


def _is_of(name: str, service: str | None) -> bool:
    return name.rpartition("-")[0] == service


@contextlib.asynccontextmanager
async def open_stack(
    settings: LocalSettings, scale: Mapping[str, int], *, report: Report, sync: bool = True
) -> AsyncGenerator[Stack]:
    """Hold the state folder, clear what a killed supervisor left, and give a stack that is not up yet.

    Raises SettingsError, MachineTooSmall, StackAlreadyRuns.
    """
    if settings.real_slack and settings.slack_signing_secret is None:
        raise SettingsError(
            "DOPPEL_SLACK_SIGNING_SECRET is missing; it stands under Basic Information of the Slack app."
        )
    check_machine(settings)
    home = Home(settings.home.absolute())
    home.make()
    with home.locked():
        for name in await processes.end_leftovers(home.run):
            report(f"ended {name}, left behind by an earlier run")
        processes.remember_self(home.run, SUPERVISOR)
        made: list[Stack] = []
        supervisor = Supervisor(
            home, on_change=lambda: made[0].write_endpoints() if made else None, tell=report
        )
        try:
            async with supervisor:
                servers = Servers(home, home.secrets(), Ports(home.path / "ports.json"), supervisor, sync)
                made.append(Stack(home, servers, Fleet(servers, settings, scale), supervisor))
                try:
                    yield made[0]
                finally:
                    made.clear()
        finally:
            home.endpoints.unlink(missing_ok=True)
            processes.forget(home.run, SUPERVISOR)
