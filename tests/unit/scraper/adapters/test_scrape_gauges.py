from prometheus_client import CollectorRegistry, generate_latest

from services.scraper.adapters.scrape_gauges import ScrapeGauges
from services.scraper.core.source import SourceKind


def test_a_scrape_is_counted_by_source_and_ending() -> None:
    registry = CollectorRegistry()
    gauges = ScrapeGauges(registry)
    gauges.ended(SourceKind.EXPORT, "done", 12.5)
    gauges.read(SourceKind.EXPORT, "new", 1_200)
    gauges.read(SourceKind.EXPORT, "unchanged", 0)
    text = generate_latest(registry).decode()
    assert 'doppel_scrapes_total{ending="done",source="export"} 1.0' in text
    assert 'doppel_corpus_messages_total{source="export"} 1200.0' in text
    assert 'doppel_corpora_total{result="unchanged",source="export"} 1.0' in text
