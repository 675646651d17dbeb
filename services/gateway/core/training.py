"""From where a training takes its history."""

from datetime import datetime, timedelta


def select_source(
    newest_corpus_at: datetime | None, *, api_allowed: bool, max_age: timedelta, now: datetime
) -> str:
    """``api`` where it is allowed and needed, else the newest corpus.

    Without a corpus and without the permission it is ``api`` too: the scraper then says what the operator can do.
    """
    if newest_corpus_at is None:
        return "api"
    return "api" if api_allowed and now - newest_corpus_at > max_age else "corpus:latest"
