"""``persona.purge``: what was cut from a person goes: scrapes under way, datasets, their messages in every corpus."""

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from doppel.bus import Delivery, Publisher
from doppel.storage import Storage
from doppel.uploads import Uploads
from proto.artifacts import persona_prefix
from proto.persona import PersonaPurge, PersonaPurged
from proto.subjects import PERSONA_PURGED
from services.scraper.handlers.cancels import Cancels
from services.scraper.handlers.erasing import Eraser
from services.scraper.repository import Repository

log = logging.getLogger(__name__)

NOBODY: Final = UUID(int=0)  # no scrape is spared


@dataclass(frozen=True)
class Purging:
    """Rows first: from there on nobody reads the objects. Doing it again does nothing more."""

    bus: Publisher
    storage: Storage
    repository: Repository
    cancels: Cancels
    eraser: Eraser
    replica: str

    async def on_persona_purge(self, purge: PersonaPurge, delivery: Delivery) -> None:
        """One round of a purge, and the fact."""
        team_id, user_id, until = purge.team_id, purge.user_id, purge.requested_at
        async with delivery.heartbeat():
            _, agrees_since = await self.repository.dataset_prefixes(team_id, user_id)
            if agrees_since is None:
                for request_id in await self.repository.running_for(team_id, user_id):
                    await self.cancels.on_scrape_cancel(request_id)
            gone = await self.repository.forget_datasets(team_id, user_id, until)
            cleaned = await self.eraser.clean(team_id)
            removed = {
                "scrapes": await self.repository.forget_scrapes(team_id, user_id, until),
                "datasets": len(gone.prefixes),
                "objects": await self._delete_objects(team_id, user_id, gone.prefixes),
                "pages": await self._forget_readings(team_id),
                "messages": cleaned.messages,
            }
            result = PersonaPurged(
                request_id=purge.request_id,
                round=purge.round,
                team_id=team_id,
                user_id=user_id,
                service="scraper",
                replica=self.replica,
                removed=removed,
                left=gone.in_use + cleaned.damaged,
            )
            key = f"{purge.request_id}/{purge.round}/scraper"
            await self.bus.publish(PERSONA_PURGED, result, key=key)

    async def _delete_objects(self, team_id: str, user_id: str, prefixes: tuple[str, ...]) -> int:
        """Of rows that are gone, and whatever else of theirs no row names; but nothing of after another yes."""
        await self.storage.quiet()  # an upload of ours that was cancelled would arrive after us
        home = f"{persona_prefix(team_id, user_id)}/datasets/"
        uploads = Uploads(self.storage)
        for begun in await uploads.unfinished(home):
            await uploads.abort(begun)
        named, agrees_since = await self.repository.dataset_prefixes(team_id, user_id)
        keys = [
            found.key
            for found in await self.storage.list_objects(home)
            if not any(found.key.startswith(f"{prefix.rstrip('/')}/") for prefix in named)
            and (agrees_since is None or found.modified_at < agrees_since)
        ]
        for prefix in prefixes:
            keys += await self.storage.list_keys(f"{prefix.rstrip('/')}/")
        gone = list(dict.fromkeys(keys))
        await self.storage.delete(gone)
        return len(gone)

    async def _forget_readings(self, team_id: str) -> int:
        """What was read through the API and is in no corpus; the next reading begins from nothing."""
        keys = await self.repository.left_objects(team_id, NOBODY)
        await self.storage.delete(keys)
        await self.repository.forget_left(team_id, NOBODY, keys)
        await self.storage.delete(await self.repository.forget_states(team_id))
        return len(keys)
