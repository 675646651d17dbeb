"""What an operator sees of scrapes in Prometheus; labels are bounded, no workspace and no person among them."""

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.scraper.core.source import SourceKind

Ending = Literal["done", "refused", "cancelled", "failed", "returned"]
_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400)


class ScrapeGauges:
    """Scrapes by how they ended, how long they took, what they read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ends = Counter("doppel_scrapes", "Ended scrapes.", ["source", "ending"], registry=registry)
        self._seconds = Histogram(
            "doppel_scrape_seconds", "From claim to end.", ["source"], buckets=_SECONDS, registry=registry
        )
        self._corpora = Counter("doppel_corpora", "Histories read.", ["source", "result"], registry=registry)
        self._messages = Counter("doppel_corpus_messages", "In new corpora.", ["source"], registry=registry)
        self._samples = Counter("doppel_dataset_samples", "In new datasets.", registry=registry)
        self._collected = Counter("doppel_collected_objects", "Leftovers deleted.", registry=registry)

    def ended(self, kind: SourceKind, ending: Ending, seconds: float) -> None:
        """One scrape came to an end, or goes back to the bus."""
        self._ends.labels(kind.value, ending).inc()
        self._seconds.labels(kind.value).observe(seconds)

    def read(self, kind: SourceKind, result: Literal["new", "unchanged"], message_count: int) -> None:
        """One history was read."""
        self._corpora.labels(kind.value, result).inc()
        self._messages.labels(kind.value).inc(message_count)

    def cut(self, sample_count: int) -> None:
        """One dataset was committed."""
        self._samples.inc(sample_count)

    def collected(self, count: int) -> None:
        """So many leftovers are gone."""
        self._collected.inc(count)
