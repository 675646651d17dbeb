"""The source `api`: a workspace's public history through Slack's Web API, resumably, and next time only what is new."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from slack_sdk.web.async_client import AsyncWebClient

from doppel.secrets import TokenBox, TokenUnreadable
from doppel.slack.client import SlackConnection, SlackRefused
from doppel.storage import Storage
from proto.artifacts import corpus_prefix
from proto.conversation import Message, Person
from proto.errors import NotInstalled, RequestInvalid, TransientError
from proto.scrape import ScrapeRequest
from services.scraper.adapters.building import Built, build_from_outcomes
from services.scraper.adapters.corpora import fetch_shards
from services.scraper.adapters.page_lines import outcomes_of
from services.scraper.adapters.slack_calls import SlackCalls
from services.scraper.adapters.slack_gauges import SlackGauges
from services.scraper.adapters.slack_history import PublicChannel, SlackHistory
from services.scraper.adapters.work import Threads, Work
from services.scraper.core.incremental import (
    Reread,
    stays,
)
from services.scraper.core.paging import Progress, progress_of
from services.scraper.core.people import names_of
from services.scraper.core.source import TsWindow
from services.scraper.handlers.api_channel import Scope
from services.scraper.handlers.api_earlier import Earlier, GoingOn, state_of
from services.scraper.handlers.api_pages import PageStore
from services.scraper.handlers.api_reading import Reading
from services.scraper.handlers.hold import the_cause
from services.scraper.repository import Claim, Repository

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
        going_on = GoingOn(self.repository, self.storage)
        await going_on.sweep(claim, request.team_id)
        window = TsWindow.of(request.window)
        is_whole = window == TsWindow()
        recheck_days = self.rules.recheck_days if is_whole and self.rules.incremental else None
        earlier, since_ts = await going_on.decide(claim, request.team_id, recheck_days)
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
        progress = progress_of(stored)  # the reading keeps it up to date
        await reading.read_all(channels, progress)
        pages = await store.fetch([*stored, *store.saved])
        built = await self._build(reading, progress, pages, earlier, people, channels, folder, work)
        if is_whole:
            left = state_of(reading.complete, progress, reading.scope, claim.created_at)
            await going_on.leave(corpus_id, prefix, left)
        return built

    async def _build(
        self,
        reading: Reading,
        progress: Mapping[str, Progress],
        pages: list[Path],
        earlier: Earlier | None,
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
        work.enter("writing", total=work.step)
        reread = {
            channel_id: Reread(since_ts, progress.get(channel_id, Progress()))
            for channel_id in reading.complete
            if (since_ts := reading.scope.since(channel_id))
        }
        untouched = directory.keys() - reading.complete

        def keeps(message: Message) -> bool:
            return stays(message, reread, untouched)

        return await self.threads.run(
            work,
            lambda: build_from_outcomes(outcomes_of(pages, shards, keeps), people, directory, folder, work),
        )


def _sentence(team_id: str, error: SlackRefused) -> RequestInvalid:
    if error.token_is_dead:
        return RequestInvalid(
            f"Slack no longer accepts doppel's token of {team_id}. Install doppel there again."
        )
    return RequestInvalid(
        f"Slack does not let doppel read {team_id} ({error.reason}). An admin finds the scopes in the manifest."
    )
