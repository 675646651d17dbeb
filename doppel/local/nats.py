"""nats-server from its wheel: JetStream on a file store, every write synced, one user per service."""

from doppel.bus.access import OPS, server_config
from doppel.local.child import Child, answers
from doppel.local.files import write_private
from doppel.local.home import Home, Ports, Secrets
from doppel.local.programs import program
from doppel.local.settings import inherited


def child(home: Home, secrets: Secrets, ports: Ports, *, sync: bool = True) -> Child:
    """Write the configuration and say how to start it."""
    port, monitor_port = ports.pick("nats"), ports.pick("nats-monitor")
    path = home.path.resolve() / "nats.conf"
    config = server_config(
        secrets.nats_passwords,
        listen=f"127.0.0.1:{port}",
        monitor=f"127.0.0.1:{monitor_port}",
        store_dir=str(home.data.resolve() / "nats"),
        sync=sync,
    )
    write_private(path, config)

    async def ready() -> bool:
        return await answers(f"http://127.0.0.1:{monitor_port}/healthz")

    return Child("nats", (program("nats-server"), "--config", str(path)), ready, env=inherited())


def url(secrets: Secrets, ports: Ports, *, user: str | None = OPS) -> str:
    """Where it listens, with a user's password, or with none."""
    credentials = f"{user}:{secrets.nats_passwords[user]}@" if user else ""
    return f"nats://{credentials}127.0.0.1:{ports.pick('nats')}"
