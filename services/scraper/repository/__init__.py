"""The scraper's SQL, one function per query."""

from dataclasses import dataclass

from services.scraper.repository.corpora import Corpora
from services.scraper.repository.reading import Reading
from services.scraper.repository.rows import Claim, CorpusRow, Cursor, DatasetRow, Finished, Installation
from services.scraper.repository.scrapes import Scrapes


@dataclass(frozen=True)
class Repository(Scrapes, Corpora, Reading):
    """Queries; each is one short statement or transaction."""


__all__ = ["Claim", "CorpusRow", "Cursor", "DatasetRow", "Finished", "Installation", "Repository"]
