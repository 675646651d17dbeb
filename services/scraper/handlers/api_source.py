"""The source `api`: a workspace's public history through Slack's Web API, resumably, and next time only what is new."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from slack_sdk.web.async_client import AsyncWebClient

from doppel.secrets import TokenBox, TokenUnreadable
from doppel.slack.client import SlackConnection, SlackRefused
from doppel.storage import ObjectMissing, Storage
from doppel.transient import is_transient
from proto.artifacts import CorpusManifest, corpus_prefix
from proto.conversation import Message, Person
from proto.errors import ArtifactCorrupt, NotInstalled, RequestInvalid, TransientError
from proto.scrape import ScrapeRequest
from services.scraper.adapters.building import Built, build_from_outcomes
from services.scraper.adapters.corpora import fetch_people, fetch_shards
from services.scraper.adapters.page_lines import outcomes_of
from services.scraper.adapters.slack_calls import SlackCalls
from services.scraper.adapters.slack_gauges import SlackGauges
from services.scraper.adapters.slack_history import PublicChannel, SlackHistory
from services.scraper.adapters.work import Threads, Work
from services.scraper.core.incremental import (
    ApiState,
    Reread,
    recheck_from,
    state_after,
    stays,
)
from services.scraper.core.paging import Progress, progress_of
from services.scraper.core.people import names_of
from services.scraper.core.source import TsWindow
from services.scraper.handlers.api_channel import Scope
from services.scraper.handlers.api_pages import PageStore
from services.scraper.handlers.api_reading import Reading
from services.scraper.handlers.hold import the_cause
from services.scraper.repository import Baseline, Claim, Repository

log = logging.getLogger(__name__)

STATE_FILE: Final = "api-state.json"
RENEWAL_S: Final = 60.0  # the gateway refreshes tokens two hours ahead; longer is an outage
LOOK_EVERY_S: Final = 5.0


@dataclass(frozen=True)
class ApiRules:
    """What an operator may turn. `scale`: how many times faster than Slack's the other side's clock runs."""

    calls_at_once: int
    channels_at_once: int
    scale: float = 1.0
    recheck_days: float = 30.0
    incremental: bool = True
    opt_out: frozenset[str] = frozenset()  # channels, by name or id

    def is_opted_out(self, channel: PublicChannel) -> bool:
        """Is that channel left alone?"""
        return channel.channel_id in self.opt_out or channel.name.casefold() in self.opt_out


@dataclass(frozen=True)
class _Earlier:
    """The corpus that this reading goes on from."""

    baseline: Baseline
    manifest: CorpusManifest
    state: ApiState = field(repr=False)


@dataclass(frozen=True)
class ApiSource:
    """Reads a workspace. The token is read by grant and never refreshed here."""

    repository: Repository
    storage: Storage
    slack: SlackConnection
    tokens: TokenBox | None
    threads: Threads
    gauges: SlackGauges
    rules: ApiRules

    async def read(
        self, claim: Claim, request: ScrapeRequest, corpus_id: UUID, folder: Path, work: Work
    ) -> Built:
        """Read everything public into shards on disk. Raises NotInstalled, RequestInvalid, TransientError."""
        installation = await self.repository.installation(request.team_id)
        if installation is None:
            raise NotInstalled(request.team_id)
        sealed = installation.bot_token

        async def renew(error: SlackRefused) -> AsyncWebClient:
            nonlocal sealed
            sealed = await self._newer_token(request.team_id, sealed, error)
            return self._client(request.team_id, sealed)

        def on_call() -> None:
            work.requests += 1

        calls = SlackCalls(
            self._client(request.team_id, sealed),
            request.team_id,
            self.repository,
            self.gauges,
            renew,
            on_call,
            at_once=self.rules.calls_at_once,
            scale=self.rules.scale,
        )
        history = SlackHistory(calls, request.team_id, installation.enterprise_id)
        try:
            return await self._read(history, claim, request, corpus_id, folder, work)
        except (SlackRefused, BaseExceptionGroup) as error:
            cause = the_cause(error)
            if isinstance(cause, SlackRefused):
                raise _sentence(request.team_id, cause) from error
            raise

    def _client(self, team_id: str, sealed: bytes) -> AsyncWebClient:
        if self.tokens is None:
            raise RequestInvalid(
                "The scraper can't read stored tokens: DOPPEL_ENCRYPTION_KEYS is not set. "
                "Set it to the gateway's, or import an export."
            )
        try:
            return self.slack.client(self.tokens.open(team_id, sealed))
        except TokenUnreadable as error:
            raise RequestInvalid(f"{error} Install doppel again, or set the right keys.") from error

    async def _newer_token(self, team_id: str, sealed: bytes, error: SlackRefused) -> bytes:
        """The token that the gateway stored meanwhile. A dead one is not waited for, one that ran out is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + RENEWAL_S
        while True:
            installation = await self.repository.installation(team_id)
            if installation is None:
                raise NotInstalled(team_id)
            if installation.bot_token != sealed:
                return installation.bot_token
            if error.token_is_dead:
                raise error
            if loop.time() > until:
                raise TransientError("The workspace's token ran out and was not renewed yet.", delay_s=60)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _read(
        self,
        history: SlackHistory,
        claim: Claim,
        request: ScrapeRequest,
        corpus_id: UUID,
        folder: Path,
        work: Work,
    ) -> Built:
        await self._sweep(claim, request.team_id)
        window = TsWindow.of(request.window)
        is_whole = window == TsWindow()
        earlier, since_ts = await self._earlier(claim, request.team_id, is_whole=is_whole)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(history.people()), group.create_task(history.channels())
        people, listed = asked[0].result(), asked[1].result()
        channels = [channel for channel in listed if not self.rules.is_opted_out(channel)]
        names = names_of(people) | {channel.channel_id: channel.name for channel in listed}
        prefix = corpus_prefix(request.team_id, corpus_id, claim.fence)
        store = PageStore(
            self.storage, self.repository, claim, prefix, folder, work, self.gauges, history.calls.many_wait
        )
        stored = await self.repository.pages(claim.request_id)
        work.step += sum(page.message_count for page in stored)
        reading = Reading(
            history,
            store,
            Scope(window, since_ts, earlier.state if earlier else None),
            names,
            work,
            self.rules.channels_at_once,
            ends_s=claim.created_at.timestamp(),
        )
        await reading.read_all(channels, progress_of(stored))
        stored = await self.repository.pages(claim.request_id)
        progress = progress_of(stored)
        pages = await store.fetch(stored)
        built = await self._build(reading, progress, pages, earlier, people, channels, folder, work)
        if is_whole:
            await self._leave_state(claim, corpus_id, prefix, reading, progress)
        return built

    async def _earlier(
        self, claim: Claim, team_id: str, *, is_whole: bool
    ) -> tuple[_Earlier | None, str | None]:
        """The corpus to go on from, as the first holder of this scrape decided; None: everything is read."""
        wanted = (
            await self.repository.newest_baseline(team_id) if is_whole and self.rules.incremental else None
        )
        found = await self._fetch_earlier(wanted) if wanted else None
        since_ts = recheck_from(found.state.read_at, self.rules.recheck_days) if found else None
        decided, since_ts = await self.repository.begin_reading(
            claim, found.baseline.corpus_id if found else None, since_ts
        )
        if decided is None:
            if since_ts is not None:  # what is stored was read on top of a corpus that is no more
                raise ArtifactCorrupt("the corpus that this reading goes on from")
            return None, None
        if found is None or found.baseline.corpus_id != decided:
            wanted = await self.repository.baseline(decided)
            found = await self._fetch_earlier(wanted) if wanted else None
            if found is None:
                raise ArtifactCorrupt("the corpus that this reading goes on from")
        return found, since_ts

    async def _fetch_earlier(self, baseline: Baseline) -> _Earlier | None:
        """Manifest and state of a corpus; None where they are gone or damaged: then everything is read."""
        try:
            manifest, _ = await fetch_people(self.storage, baseline.prefix, baseline.manifest_sha256)
            state = await self.storage.get_model(ApiState, baseline.state_key, sha256=baseline.state_sha256)
        except (ObjectMissing, ArtifactCorrupt) as error:
            log.warning("reading everything again", extra={"error": type(error).__name__})
            return None
        return _Earlier(baseline, manifest, state)

    async def _build(
        self,
        reading: Reading,
        progress: Mapping[str, Progress],
        pages: list[Path],
        earlier: _Earlier | None,
        people: list[Person],
        channels: list[PublicChannel],
        folder: Path,
        work: Work,
    ) -> Built:
        """Join what stays of the earlier corpus with what was read now."""
        directory = {channel.channel_id: channel.name for channel in channels}
        shards: list[Path] = []
        if earlier:
            old = folder / "earlier"
            old.mkdir(exist_ok=True)
            shards = await fetch_shards(self.storage, earlier.baseline.prefix, earlier.manifest, old)
        since_ts = reading.scope.since_ts
        work.enter("writing", total=work.step)
        reread = {
            channel_id: Reread(since_ts, progress.get(channel_id, Progress()))
            for channel_id in reading.complete
            if since_ts and reading.scope.known(channel_id) is not None
        }
        untouched = directory.keys() - reading.complete

        def keeps(message: Message) -> bool:
            return stays(message, reread, untouched)

        return await self.threads.run(
            work,
            lambda: build_from_outcomes(outcomes_of(pages, shards, keeps), people, directory, folder, work),
        )

    async def _leave_state(
        self,
        claim: Claim,
        corpus_id: UUID,
        prefix: str,
        reading: Reading,
        progress: Mapping[str, Progress],
    ) -> None:
        """For the next reading. Named before the corpus's row: it counts with it."""
        scope = reading.scope
        channels = {
            channel_id: state_after(
                progress.get(channel_id, Progress()), scope.known(channel_id), scope.since_ts
            )
            for channel_id in sorted(reading.complete)
        }
        key = f"{prefix}/{STATE_FILE}"
        sha256 = await self.storage.put_model(key, ApiState(read_at=claim.created_at, channels=channels))
        await self.repository.save_state(corpus_id, key, sha256)

    async def _sweep(self, claim: Claim, team_id: str) -> None:
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


def _sentence(team_id: str, error: SlackRefused) -> RequestInvalid:
    if error.token_is_dead:
        return RequestInvalid(
            f"Slack no longer accepts doppel's token of {team_id}. Install doppel there again."
        )
    return RequestInvalid(
        f"Slack does not let doppel read {team_id} ({error.reason}). An admin finds the scopes in the manifest."
    )
