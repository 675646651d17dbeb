"""The scraper's SQL, one function per query."""

from dataclasses import dataclass

from services.scraper.repository.corpora import Corpora
from services.scraper.repository.datasets import Datasets
from services.scraper.repository.forgotten import Forgotten
from services.scraper.repository.leftovers import Leftovers
from services.scraper.repository.pages import Pages
from services.scraper.repository.reading import Reading
from services.scraper.repository.rows import (
    Baseline,
    Claim,
    CorpusRow,
    DatasetRow,
    Finished,
    Installation,
)
from services.scraper.repository.scrapes import Scrapes


@dataclass(frozen=True)
class Repository(Scrapes, Corpora, Datasets, Reading, Pages, Leftovers, Forgotten):
    """Queries; each is one short statement or transaction."""


__all__ = [
    "Baseline",
    "Claim",
    "CorpusRow",
    "DatasetRow",
    "Finished",
    "Installation",
    "Repository",
]
