"""One file per subject."""

from services.scraper.handlers.scrape_request import Handlers

__all__ = ["Handlers"]
