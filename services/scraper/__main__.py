"""``python -m services.scraper``: serve scrape.request."""

import sys

from doppel.lifecycle import Lifecycle, run
from services.scraper.app import serve
from services.scraper.settings import Settings


def main() -> int:
    """Read the settings, serve until SIGTERM."""
    settings: list[Settings] = []

    def read() -> Settings:
        settings.append(Settings.read())
        return settings[0]

    async def start(lifecycle: Lifecycle) -> None:
        await serve(lifecycle, settings[0])

    return run("scraper", read, start)


if __name__ == "__main__":
    sys.exit(main())
