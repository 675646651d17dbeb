"""``python -m playground``"""

import asyncio

from doppel.settings import TelemetrySettings
from doppel.telemetry import set_up_logging
from playground.app import serve
from playground.settings import Settings


def main() -> None:
    """Read the settings and serve."""
    set_up_logging(TelemetrySettings())
    asyncio.run(serve(Settings()))


if __name__ == "__main__":
    main()
