"""What a reading through the API goes on from, and what it leaves for the next one."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from doppel.storage import ObjectMissing, Storage
from doppel.transient import is_transient
from proto.artifacts import CorpusManifest
from proto.errors import ArtifactCorrupt
from services.scraper.adapters.corpora import fetch_manifest
from services.scraper.core.incremental import ApiState, recheck_from, state_after
from services.scraper.core.paging import Progress
from services.scraper.handlers.api_channel import Scope
from services.scraper.repository import Baseline, Claim, Repository

log = logging.getLogger(__name__)

STATE_FILE: Final = "api-state.json"
_GONE: Final = "the corpus that this reading goes on from"


@dataclass(frozen=True)
class Earlier:
    """The corpus that a reading goes on from."""

    baseline: Baseline
    manifest: CorpusManifest
    state: ApiState = field(repr=False)


@dataclass(frozen=True)
class GoingOn:
    """Decides once a scrape, whoever holds it."""

    repository: Repository
    storage: Storage

    async def decide(
        self, claim: Claim, team_id: str, recheck_days: float | None
    ) -> tuple[Earlier | None, str | None]:
        """The corpus to go on from and the point after which all is read again; None: everything is read.

        `recheck_days` is None where everything is asked for. Raises ArtifactCorrupt, LeaseLost.
        """
        wanted = None if recheck_days is None else await self.repository.newest_baseline(team_id)
        found = await self._fetch(wanted) if wanted else None
        since_ts = recheck_from(found.state.read_at, recheck_days or 0.0) if found else None
        decided, since_ts = await self.repository.begin_reading(
            claim, found.baseline.corpus_id if found else None, since_ts
        )
        if decided is None:
            if since_ts is not None:  # what is stored was read on top of a corpus that is no more
                raise ArtifactCorrupt(_GONE)
            return None, None
        if found is None or found.baseline.corpus_id != decided:
            wanted = await self.repository.baseline(decided)
            found = await self._fetch(wanted) if wanted else None
            if found is None:
                raise ArtifactCorrupt(_GONE)
        return found, since_ts

    async def _fetch(self, baseline: Baseline) -> Earlier | None:
        """Manifest and state of a corpus; None where they are gone or damaged: then everything is read."""
        try:
            manifest = await fetch_manifest(self.storage, baseline.prefix, baseline.manifest_sha256)
            state = await self.storage.get_model(ApiState, baseline.state_key, sha256=baseline.state_sha256)
        except (ObjectMissing, ArtifactCorrupt) as error:
            log.warning("reading everything again", extra={"error": type(error).__name__})
            return None
        return Earlier(baseline, manifest, state)

    async def leave(self, corpus_id: UUID, prefix: str, state: ApiState) -> None:
        """For the next reading. Named before the corpus's row: it counts with it."""
        key = f"{prefix}/{STATE_FILE}"
        sha256 = await self.storage.put_model(key, state)
        await self.repository.save_state(corpus_id, key, sha256)

    async def sweep(self, claim: Claim, team_id: str) -> None:
        """Delete what readings that ended have left: a cancelled one's messages are nobody's."""
        try:
            keys = await self.repository.left_objects(team_id, claim.request_id)
            if keys:
                await self.storage.delete(keys)
            await self.repository.forget_left(team_id, claim.request_id, keys)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("left for the next reading", extra={"error": type(error).__name__})


def state_of(
    complete: Collection[str], progress: Mapping[str, Progress], scope: Scope, read_at: datetime
) -> ApiState:
    """What is known of every channel that was read to its end."""
    channels = {
        channel_id: state_after(progress.get(channel_id, Progress()), scope.known(channel_id), scope.since_ts)
        for channel_id in sorted(complete)
    }
    return ApiState(read_at=read_at, channels=channels)
