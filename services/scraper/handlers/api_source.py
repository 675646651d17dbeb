"""The source `api`: all public channels side by side, page by page, each page safe in the bucket before the next."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from doppel.secrets import TokenBox, TokenUnreadable
from doppel.slack.client import SlackConnection, SlackRefused
from doppel.storage import ObjectMissing, Storage
from proto.artifacts import corpus_prefix
from proto.conversation import Message, Person
from proto.errors import ArtifactCorrupt, NotInstalled, RequestInvalid
from proto.scrape import ScrapeRequest
from services.scraper.adapters.building import Built, build_from_pages
from services.scraper.adapters.shards import pack
from services.scraper.adapters.slack_calls import SlackCalls, is_skippable
from services.scraper.adapters.slack_history import Page, PublicChannel, SlackHistory
from services.scraper.adapters.work import Threads, Work
from services.scraper.core.normalise import Said, normalise
from services.scraper.core.people import names_of
from services.scraper.core.source import TsWindow
from services.scraper.repository import Claim, Cursor, Installation, Repository

log = logging.getLogger(__name__)

PAGES_AT_ONCE: Final = 8


@dataclass(frozen=True)
class ApiSource:
    """Reads a workspace through Slack's Web API, resumably."""

    repository: Repository
    storage: Storage
    slack: SlackConnection
    tokens: TokenBox | None
    threads: Threads
    calls_at_once: int
    channels_at_once: int

    async def read(
        self, claim: Claim, request: ScrapeRequest, corpus_id: UUID, folder: Path, work: Work
    ) -> Built:
        """Read everything public into shards on disk. Raises NotInstalled, RequestInvalid, TransientError."""
        installation = await self.repository.installation(request.team_id)
        if installation is None:
            raise NotInstalled(request.team_id)
        try:
            return await self._read(installation, claim, request, corpus_id, folder, work)
        except SlackRefused as error:
            if error.reason != "token_expired":
                raise _sentence(request.team_id, error) from error
        renewed = await self.repository.installation(
            request.team_id
        )  # the gateway refreshes tokens, we re-read
        if renewed is None:
            raise NotInstalled(request.team_id)
        try:
            return await self._read(renewed, claim, request, corpus_id, folder, work)
        except SlackRefused as error:
            raise _sentence(request.team_id, error) from error

    async def _read(
        self,
        installation: Installation,
        claim: Claim,
        request: ScrapeRequest,
        corpus_id: UUID,
        folder: Path,
        work: Work,
    ) -> Built:
        client = self.slack.client(self._token(request.team_id, installation))
        calls = SlackCalls(client, request.team_id, self.repository, self.calls_at_once)
        history = SlackHistory(calls, request.team_id, installation.enterprise_id)
        people, channels = await history.people(), await history.channels()
        names = names_of(people) | {channel.channel_id: channel.name for channel in channels}
        reading = _Reading(
            self, claim, corpus_prefix(request.team_id, corpus_id, claim.fence), history, names, folder, work
        )
        work.channel_count = len(channels)
        await reading.read_all(channels, TsWindow.of(request.window))
        return await self._build(claim, people, channels, folder, work)

    def _token(self, team_id: str, installation: Installation) -> str:
        if self.tokens is None:
            raise RequestInvalid(
                "The scraper can't read stored tokens: DOPPEL_ENCRYPTION_KEYS is not set. "
                "Set it to the gateway's, or import an export."
            )
        try:
            return self.tokens.open(team_id, installation.bot_token)
        except TokenUnreadable as error:
            raise RequestInvalid(f"{error} Install doppel again, or set the right keys.") from error

    async def _build(
        self,
        claim: Claim,
        people: list[Person],
        channels: list[PublicChannel],
        folder: Path,
        work: Work,
    ) -> Built:
        """Join what lies in the bucket; pages of this holder are on disk already."""
        cursors = await self.repository.cursors(claim.request_id)
        shards = [shard for channel_id in sorted(cursors) for shard in cursors[channel_id].shards]
        limit = asyncio.Semaphore(PAGES_AT_ONCE)

        async def fetch(shard: Mapping[str, Any]) -> None:
            path = page_path(folder, shard["key"])
            if await asyncio.to_thread(path.exists):
                return
            async with limit:
                try:
                    await self.storage.fetch_verified(shard["key"], shard["sha256"], path)
                except ObjectMissing as error:
                    raise ArtifactCorrupt("a page of the history") from error

        async with asyncio.TaskGroup() as group:
            for shard in shards:
                group.create_task(fetch(shard))
        paths = [page_path(folder, shard["key"]) for shard in shards]
        directory = {channel.channel_id: channel.name for channel in channels}
        return await self.threads.run(work, lambda: build_from_pages(paths, people, directory, folder, work))


@dataclass(frozen=True)
class _Reading:
    """One holder's way through the channels."""

    source: ApiSource
    claim: Claim
    prefix: str
    history: SlackHistory
    names: Mapping[str, str]
    folder: Path
    work: Work

    async def read_all(self, channels: list[PublicChannel], window: TsWindow) -> None:
        """Every channel, several side by side; those that Slack keeps from us are skipped and counted."""
        cursors = await self.source.repository.cursors(self.claim.request_id)
        for cursor in cursors.values():
            self.work.step += sum(int(shard["message_count"]) for shard in cursor.shards)
        limit = asyncio.Semaphore(self.source.channels_at_once)
        skipped: list[str] = []

        async def read(channel: PublicChannel) -> None:
            async with limit:
                try:
                    await self._read_channel(channel, cursors.get(channel.channel_id), window)
                except SlackRefused as error:
                    if not is_skippable(error):
                        raise
                    skipped.append(error.reason)
                self.work.channels_done += 1

        async with asyncio.TaskGroup() as group:
            for channel in channels:
                group.create_task(read(channel))
        if skipped:
            log.info("channels skipped", extra={"count": len(skipped), "reasons": sorted(set(skipped))})

    async def _read_channel(self, channel: PublicChannel, cursor: Cursor | None, window: TsWindow) -> None:
        cursor = cursor or Cursor(channel.channel_id)
        if cursor.done:
            return
        await self.history.join(channel)
        async for page in self.history.pages(channel.channel_id, cursor.latest_ts, window):
            cursor = await self._save(cursor, page, window)

    async def _save(self, cursor: Cursor, page: Page, window: TsWindow) -> Cursor:
        """Object first, then the row that names it: what is saved is never read again."""
        outcomes = (normalise(raw, cursor.channel_id, self.names) for raw in page.messages)
        messages = [
            outcome.message
            for outcome in outcomes
            if isinstance(outcome, Said) and window.holds(outcome.message.ts)
        ]
        shards = [await self._store(cursor, messages)] if messages else []
        saved = replace(cursor, page=cursor.page + 1, latest_ts=page.latest_ts, done=page.is_last)
        await self.source.repository.save_page(self.claim, saved, shards)
        self.work.advance(len(messages))
        return saved

    async def _store(self, cursor: Cursor, messages: list[Message]) -> dict[str, Any]:
        key = f"{self.prefix}/pages/{cursor.channel_id}-{cursor.page:06d}.jsonl.zst"
        data = pack(messages)
        await asyncio.to_thread(_write, page_path(self.folder, key), data)
        sha256 = await self.source.storage.put_bytes(key, data)
        return {"key": key, "sha256": sha256, "message_count": len(messages)}


def page_path(folder: Path, key: str) -> Path:
    """Where a page lies on disk: its fence and name, so that two holders' pages don't meet."""
    *_, fence, _, name = key.split("/")
    return folder / "pages" / f"{fence}-{name}"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sentence(team_id: str, error: SlackRefused) -> RequestInvalid:
    if error.token_is_dead:
        return RequestInvalid(
            f"Slack no longer accepts doppel's token of {team_id}. Install doppel there again."
        )
    return RequestInvalid(
        f"Slack does not let doppel read {team_id} ({error.reason}). An admin finds the scopes in the manifest."
    )
