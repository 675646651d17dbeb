"""What every test shares: a clean environment, and the real servers, started once per run."""

import os

for name in [name for name in os.environ if name.startswith("DOPPEL_")]:
    del os.environ[name]  # the developer's settings are not the tests'

pytest_plugins = ["tests.support.servers"]
