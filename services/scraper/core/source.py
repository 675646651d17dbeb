"""Where a history comes from, and whether this request may read it."""

from dataclasses import dataclass
from enum import StrEnum

from proto.artifacts import workspace_prefix
from proto.errors import RequestInvalid, SourceNotAllowed
from proto.scrape import ScrapeRequest, Window
from services.scraper.core.timestamps import ts_key, ts_of


class SourceKind(StrEnum):
    """How a history is read."""

    API = "api"
    EXPORT = "export"
    TEXT = "text"
    CORPUS = "corpus"


@dataclass(frozen=True)
class SourcePlan:
    """One source, decided."""

    kind: SourceKind
    object_key: str = ""
    sha256: str = ""

    @property
    def is_upload(self) -> bool:
        """Was it put into the bucket by `doppel import`?"""
        return self.kind in _SUFFIXES


_SUFFIXES = {SourceKind.EXPORT: ("zip",), SourceKind.TEXT: ("jsonl", "csv")}


def plan_source(request: ScrapeRequest, *, api_allowed: bool) -> SourcePlan:
    """Read ``api``, ``export:<key>``, ``text:<key>``, ``corpus:latest``. Raises SourceNotAllowed, RequestInvalid."""
    if request.source == "api":
        if not api_allowed:
            raise SourceNotAllowed
        return SourcePlan(SourceKind.API)
    if request.source == "corpus:latest":
        if request.user_id is None:
            raise RequestInvalid(
                "`corpus:latest` cuts a dataset, so it needs a person. Name one, or choose another source."
            )
        return SourcePlan(SourceKind.CORPUS)
    scheme, _, key = request.source.partition(":")
    if not key.startswith(f"{workspace_prefix(request.team_id)}/"):
        raise RequestInvalid(
            f"That upload belongs to another workspace than {request.team_id}. Import it for the right one."
        )
    kind = SourceKind(scheme)
    name, _, suffix = key.rpartition("/")[2].partition(".")
    if suffix not in _SUFFIXES[kind]:
        raise RequestInvalid(
            "`export:` names a Slack export (.zip), `text:` a text file (.jsonl or .csv). "
            "Use `doppel import FILE`, which chooses the right one."
        )
    return SourcePlan(kind, key, name)


def sharing_key(request: ScrapeRequest) -> str:
    """What two requests have in common when one reading serves both: source and window."""
    window = request.window
    if window.oldest is None and window.latest is None:
        return request.source
    oldest = window.oldest.isoformat() if window.oldest else ""
    latest = window.latest.isoformat() if window.latest else ""
    return f"{request.source}#{oldest}/{latest}"


@dataclass(frozen=True)
class TsWindow:
    """A window as timestamps: `oldest` is exclusive, `latest` inclusive."""

    oldest: str | None = None
    latest: str | None = None

    @classmethod
    def of(cls, window: Window) -> "TsWindow":
        """From the request's instants."""
        return cls(
            ts_of(window.oldest) if window.oldest else None,
            ts_of(window.latest) if window.latest else None,
        )

    def holds(self, ts: str) -> bool:
        """Does it lie inside?"""
        key = ts_key(ts)
        return (self.oldest is None or key > ts_key(self.oldest)) and (
            self.latest is None or key <= ts_key(self.latest)
        )
