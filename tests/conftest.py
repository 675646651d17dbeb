"""What every test shares: a clean environment, and the real servers, started once per run."""

import os
import socket

import pytest
from hypothesis import HealthCheck, settings

for name in [name for name in os.environ if name.startswith("DOPPEL_")]:  # noqa: TID251
    del os.environ[name]  # noqa: TID251  the developer's settings are not the tests'

# A busy machine is slow, not wrong: no deadline per example.
settings.register_profile("doppel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("doppel")

pytest_plugins = ["tests.support.servers"]


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
