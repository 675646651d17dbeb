"""How each service and the playground is started here. They are told addresses and credentials, nothing else."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from doppel.bus.access import WATCHER
from doppel.local import nats, s3
from doppel.local.child import Child, answers
from doppel.local.home import SERVICES
from doppel.local.servers import Servers
from doppel.local.settings import LocalSettings, inherited
from doppel.settings import SLACKS_PERMISSION

ROOT: Final = Path(__file__).resolve().parents[2]
GATEWAY_PORT: Final = 8080
PLAYGROUND_PORT: Final = 8090
NO_LIMITS: Final = "1000"  # a scraper's pace against a playground without rate limits
AFTER_DRAIN_S: Final = 15.0  # a service closes what it holds, then it is killed
_QUIET: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Fleet:
    """Every replica of one stack, and where each listens."""

    servers: Servers
    settings: LocalSettings
    scale: Mapping[str, int]

    @property
    def replicas(self) -> tuple[str, ...]:
        """``gateway-1``, ``gateway-2``, ``scraper-1`` …"""
        return tuple(f"{name}-{n}" for name in SERVICES for n in range(1, self.scale.get(name, 1) + 1))

    @property
    def gateway_urls(self) -> list[str]:
        """One per replica of the gateway."""
        return [
            f"http://127.0.0.1:{self._gateway_port(name)}"
            for name in self.replicas
            if name.startswith("gateway")
        ]

    @property
    def playground_url(self) -> str | None:
        """The browser page; None where the workspace is a real one."""
        if self.settings.real_slack:
            return None
        return f"http://127.0.0.1:{self.servers.ports.pick('playground', PLAYGROUND_PORT)}"

    @property
    def signing_secret(self) -> str:
        """What Slack (or the playground) signs with."""
        given = self.settings.slack_signing_secret
        return given.get_secret_value() if given else self.servers.secrets.signing_secret

    def metrics(self) -> dict[str, str]:
        """Replica → address of its metrics."""
        return {name: f"http://127.0.0.1:{self._health_port(name)}/metrics" for name in self.replicas}

    def children(self) -> list[Child]:
        """All of them, the playground too."""
        found = [self._service(name) for name in self.replicas]
        return found if self.playground_url is None else [*found, self._playground()]

    def _service(self, name: str) -> Child:
        service = name.rpartition("-")[0]
        health = f"http://127.0.0.1:{self._health_port(name)}/health/ready"

        async def ready() -> bool:
            return await answers(health)

        env = self._shared(service) | {"DOPPEL_HEALTH_PORT": str(self._health_port(name))}
        env["DOPPEL_CACHE_DIR"] = str(self.servers.home.cache.resolve() / name)
        if service == "gateway":
            env |= self._slack() | self._gateway(name)
        elif service == "scraper":
            env |= self._slack()
        elif service == "trainer":
            env |= self._sources()
        return Child(
            name,
            (sys.executable, "-m", f"services.{service}"),
            ready,
            env=env,
            cwd=ROOT,
            stop_s=self.settings.graceful_timeout_s + AFTER_DRAIN_S,
            ready_s=self.settings.ready_timeout_s,
            ask_every_s=0.3,
        )

    def _shared(self, service: str) -> dict[str, str]:
        servers = self.servers
        return (
            inherited()
            | _QUIET
            | {
                "DOPPEL_HOME": str(servers.home.path.resolve()),
                "DOPPEL_NATS_URL": nats.url(servers.secrets, servers.ports, user=None),
                "DOPPEL_NATS_USER": service,
                "DOPPEL_NATS_PASSWORD": servers.secrets.nats_passwords[service],
                "DOPPEL_POSTGRES_DSN": servers.dsn(service),
                "DOPPEL_S3_ENDPOINT": s3.endpoint(servers.ports),
                "DOPPEL_S3_ACCESS_KEY": service,
                "DOPPEL_S3_SECRET_KEY": servers.secrets.s3_keys[service],
                "DOPPEL_S3_BUCKET": s3.BUCKET,
                "DOPPEL_BASE_MODEL": self.settings.base_model,
                "DOPPEL_GRACEFUL_TIMEOUT_S": str(self.settings.graceful_timeout_s),
            }
        )

    def _slack(self) -> dict[str, str]:
        keys = self.settings.encryption_keys
        env = {
            "DOPPEL_ENCRYPTION_KEYS": keys.get_secret_value() if keys else self.servers.secrets.encryption_key
        }
        if self.playground_url is None:
            return env
        return env | {
            "DOPPEL_SLACK_API_URL": f"{self.playground_url}/api/",
            "DOPPEL_SLACK_BOT_TOKEN": self.servers.secrets.bot_token,
            "DOPPEL_SLACK_RATE_SCALE": _rate_scale(inherited()),
            **self._sources(),
        }

    def _sources(self) -> dict[str, str]:
        """The playground's people are made up, so its history may be read through the API. Nobody else's."""
        return {} if self.playground_url is None else {"DOPPEL_TRAIN_ON_SLACK_API": SLACKS_PERMISSION}

    def _gateway(self, name: str) -> dict[str, str]:
        return {
            "DOPPEL_GATEWAY_PORT": str(self._gateway_port(name)),
            "DOPPEL_SLACK_SIGNING_SECRET": self.signing_secret,
            "DOPPEL_PUBLIC_URL": self.settings.public_url or self.gateway_urls[0],
        }

    def _playground(self) -> Child:
        assert self.playground_url is not None
        env = inherited() | {
            "DOPPEL_HOME": str(self.servers.home.path.resolve()),
            "DOPPEL_PLAYGROUND_PORT": self.playground_url.rpartition(":")[2],
            "DOPPEL_PLAYGROUND_GATEWAY_URLS": json.dumps(self.gateway_urls),
            "DOPPEL_PLAYGROUND_SIGNING_SECRET": self.signing_secret,
            "DOPPEL_PLAYGROUND_BOT_TOKEN": self.servers.secrets.bot_token,
            "DOPPEL_PLAYGROUND_APP_TOKEN": self.servers.secrets.app_token,
            "DOPPEL_NATS_URL": nats.url(self.servers.secrets, self.servers.ports, user=WATCHER),
        }
        health = f"{self.playground_url}/health/ready"

        async def ready() -> bool:
            return await answers(health)

        argv = (sys.executable, "-m", "playground")
        return Child(
            "playground", argv, ready, env=env, cwd=ROOT, stop_s=AFTER_DRAIN_S, ready_s=60, ask_every_s=0.2
        )

    def _gateway_port(self, name: str) -> int:
        return self.servers.ports.pick(name, GATEWAY_PORT if name == "gateway-1" else None)

    def _health_port(self, name: str) -> int:
        return self.servers.ports.pick(f"{name}-health")


def _rate_scale(environment: Mapping[str, str]) -> str:
    """The playground keeps no rate limits unless it is told to; then its clock says how fast a minute passes."""
    if given := environment.get("DOPPEL_SLACK_RATE_SCALE"):
        return given
    if environment.get("DOPPEL_PLAYGROUND_RATE_LIMITS", "none") == "none":
        return NO_LIMITS
    return environment.get("DOPPEL_PLAYGROUND_CLOCK_SCALE", "1")
