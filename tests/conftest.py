"""What every test shares: a clean environment, and the real servers, started once per run."""

import os

for name in [name for name in os.environ if name.startswith("DOPPEL_")]:  # noqa: TID251
    del os.environ[name]  # noqa: TID251  the developer's settings are not the tests'

pytest_plugins = ["tests.support.servers"]
