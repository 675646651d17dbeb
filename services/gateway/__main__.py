"""``python -m services.gateway``: a replica of the gateway, until SIGTERM."""

from doppel.lifecycle import run
from services.gateway.app import serve
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    raise SystemExit(run("gateway", GatewaySettings.read, serve))
