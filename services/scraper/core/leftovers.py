"""Which objects in the bucket nobody will ever ask for again. In doubt an object stays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

_PAGES: Final = "pages"


@dataclass(frozen=True)
class Named:
    """What rows say of one workspace's objects."""

    prefixes: frozenset[str] = frozenset()  # of committed corpora and datasets
    keys: frozenset[str] = frozenset()  # single objects that a row names
    busy: frozenset[str] = (
        frozenset()
    )  # ids of corpora and datasets that a live scrape may still write or read
    uploads_in_use: frozenset[str] = frozenset()
    uploads_read: Mapping[str, datetime] = field(
        default_factory=dict[str, datetime]
    )  # key → when its corpus was


@dataclass(frozen=True)
class Ages:
    """How old what nobody names must be. An upload waits for its request, which may wait in the queue."""

    leftover: timedelta
    upload: timedelta


def is_leftover(key: str, modified_at: datetime, named: Named, ages: Ages, now: datetime) -> bool:
    """May this object go?"""
    if key in named.keys:
        return False
    age = now - modified_at
    match key.split("/"):
        case ["workspaces", _, "exports", _]:
            return _is_old_upload(key, modified_at, named, age > ages.upload)
        case ["workspaces", _, "corpora", corpus_id, _, first, *rest]:
            if corpus_id in named.busy or age <= ages.leftover:
                return False
            is_committed = key.rsplit("/", 1 + len(rest))[0] in named.prefixes
            return not is_committed or (first == _PAGES and bool(rest))
        case ["workspaces", _, "personas", _, "datasets", dataset_id, _, _, *rest]:
            if dataset_id in named.busy or age <= ages.leftover:
                return False
            return key.rsplit("/", 1 + len(rest))[0] not in named.prefixes
        case _:
            return False


def _is_old_upload(key: str, modified_at: datetime, named: Named, is_old: bool) -> bool:
    if key in named.uploads_in_use:
        return False
    read_at = named.uploads_read.get(key)
    return is_old or (read_at is not None and modified_at < read_at)
