"""nats-server from its wheel: JetStream on a file store, every write synced, one user."""

from doppel.local.child import Child, answers
from doppel.local.files import write_private
from doppel.local.home import Home, Ports, Secrets
from doppel.local.programs import program
from doppel.local.settings import inherited

USER = "doppel"


def config(home: Home, secrets: Secrets, *, port: int, monitor_port: int, sync: bool) -> str:
    """The configuration file. `sync`: every acknowledged message is on the disk, as it must be outside tests."""
    return f"""server_name: doppel
listen: 127.0.0.1:{port}
http: 127.0.0.1:{monitor_port}
max_payload: 1MB
jetstream {{
  store_dir: "{home.data.resolve() / "nats"}"
  sync_interval: {"always" if sync else "2m"}
  max_file_store: 10GB
}}
accounts {{
  SYS: {{ users: [ {{ user: sys, password: "{secrets.nats_system_password}" }} ] }}
  DOPPEL: {{
    jetstream: enabled
    users: [ {{ user: {USER}, password: "{secrets.nats_password}" }} ]
  }}
}}
system_account: SYS
"""


def child(home: Home, secrets: Secrets, ports: Ports, *, sync: bool = True) -> Child:
    """Write the configuration and say how to start it."""
    port, monitor_port = ports.pick("nats"), ports.pick("nats-monitor")
    path = home.path.resolve() / "nats.conf"
    write_private(path, config(home, secrets, port=port, monitor_port=monitor_port, sync=sync))

    async def ready() -> bool:
        return await answers(f"http://127.0.0.1:{monitor_port}/healthz")

    return Child("nats", (program("nats-server"), "--config", str(path)), ready, env=inherited())


def url(secrets: Secrets, ports: Ports, *, with_credentials: bool = True) -> str:
    """Where it listens."""
    credentials = f"{USER}:{secrets.nats_password}@" if with_credentials else ""
    return f"nats://{credentials}127.0.0.1:{ports.pick('nats')}"
