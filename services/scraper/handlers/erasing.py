"""Corpora without the words of people who are forgotten: what rows say decides, so whoever comes by finishes it."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from doppel.storage import ObjectMissing, Storage
from proto.artifacts import corpus_prefix
from proto.errors import ArtifactCorrupt, TransientError
from services.scraper.adapters.corpora import fetch_manifest
from services.scraper.adapters.erasing import write_without
from services.scraper.adapters.work import scratch
from services.scraper.repository import Repository
from services.scraper.repository.forgotten import Unclean

log = logging.getLogger(__name__)


@dataclass
class Cleaned:
    """What was done. A damaged corpus stays as it is: nothing can be cut from it either."""

    corpora: int = 0
    messages: int = 0
    damaged: int = 0


@dataclass(frozen=True)
class Eraser:
    """Objects first, then the row, then the old objects."""

    storage: Storage
    repository: Repository
    scratch_folder: Path | None

    async def clean(self, team_id: str | None = None, corpus_id: UUID | None = None) -> Cleaned:
        """Every corpus that still holds such words (of a workspace; this one).

        Raises TransientError where somebody else writes one at this moment.
        """
        done = Cleaned()
        for unclean in await self.repository.unclean_corpora(team_id, corpus_id):
            removed = await self._clean(unclean)
            if removed is None:
                done.damaged += 1
            else:
                done.corpora += 1
                done.messages += removed
        return done

    async def _clean(self, unclean: Unclean) -> int | None:
        """How many messages went. None: nobody can read it."""
        old = unclean.corpus
        # A prefix that nobody has written to: two who clean at once must not write over each other.
        new = corpus_prefix(old.team_id, old.corpus_id, int(datetime.now(UTC).timestamp() * 1_000_000))
        people = sorted(unclean.people)
        async with scratch(self.scratch_folder) as folder:
            try:
                manifest = await fetch_manifest(self.storage, old.prefix, old.manifest_sha256)
                erased = await write_without(self.storage, old.prefix, manifest, people, new, folder)
            except (ArtifactCorrupt, ObjectMissing) as error:
                newer = await self.repository.corpus(old.corpus_id)
                if newer is None or newer.prefix != old.prefix:
                    raise TransientError("Somebody else cleans this corpus.", delay_s=1) from error
                log.error("corpus not cleaned: it is damaged", extra={"corpus_id": str(old.corpus_id)})  # noqa: TRY400
                await self._delete(new)
                return None
        if not await self.repository.rewritten(
            old, new, erased.manifest_sha256, erased.manifest.message_count, people
        ):
            await self._delete(new)
            raise TransientError("Somebody else cleans this corpus.", delay_s=1)
        await self._delete(old.prefix)
        log.info(
            "corpus cleaned",
            extra={
                "corpus_id": str(old.corpus_id),
                "team_id": old.team_id,
                "people": len(people),
                "removed": erased.removed,
            },
        )
        return erased.removed

    async def _delete(self, prefix: str) -> None:
        await self.storage.delete(await self.storage.list_keys(prefix.rstrip("/") + "/"))
