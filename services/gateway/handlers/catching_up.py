"""After an outage longer than Slack's retries: what was said to us meanwhile is read in the channels and answered once.

What is found goes onto the bus as the event that never came, so all that follows is as with any other mention: the same
outbox row, one answer, and how late it is said with it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from doppel.lifecycle import Lifecycle
from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.slack import SlackEvent, Utterance
from proto.subjects import SLACK_EVENT
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.catching_up import Pace, event_of, ids_of, missed_in, threads_to_read
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk
from services.gateway.repository import CatchUp, CatchUps

log = logging.getLogger(__name__)

MARGIN_S: Final = 300.0  # an event that Slack was about to send; clocks that differ
LOOK_BACK: Final = timedelta(hours=6)  # roots that may have new replies
LEASE_S: Final = 60.0
BURST, A_MINUTE = 8, 10  # of the 50 a minute of the methods that read; the scraper's share is larger
MOST_CALLS: Final = 400
MOST_PAGES: Final = 5
MOST_TRIES: Final = 6
AWAY_S: Final = 2.0
LONGEST_WAIT_S: Final = 120.0
_PLACE_GONE: Final = frozenset(
    (
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "thread_not_found",
        "missing_scope",
        "no_permission",
    )
)


class Enough(Exception):
    """No more calls for this workspace now: too many, stopping, or somebody else reads it."""


@dataclass(frozen=True)
class Listener:
    """Writes down that somebody listens, and finds the holes."""

    catch_ups: CatchUps
    hears: Callable[[], Awaitable[bool]]
    hole_s: float
    too_late_s: float

    async def beat(self) -> None:
        """Once every few seconds."""
        if not await self.hears():
            return
        silent_s = await self.catch_ups.listen(self.hole_s, MARGIN_S, self.too_late_s)
        if silent_s is not None:
            log.warning("nobody listened to Slack; catching up", extra={"silent_s": round(silent_s)})


@dataclass(frozen=True)
class Catcher:
    """Reads the channels."""

    desk: Desk
    catch_ups: CatchUps
    lifecycle: Lifecycle

    async def sweep(self) -> None:
        """Every workspace that is due, one after the other."""
        while (mine := await self.catch_ups.claim(LEASE_S)) is not None:
            installed = await self.desk.workspaces.fetch(mine.team_id)
            if installed is None:
                await self.catch_ups.done(mine)
                continue
            try:
                found = await Reader(self.desk, self.catch_ups, self.lifecycle, mine, installed).read()
            except Enough:
                return
            except SlackRefused as error:
                log.warning("not caught up", extra={"team_id": mine.team_id, "reason": error.reason})
                if error.token_is_dead:
                    await self.desk.workspaces.mark_dead(mine.team_id, error.reason)
            else:
                log.info("caught up", extra={"team_id": mine.team_id, "found": found})
            await self.catch_ups.done(mine)


class Reader:
    """One workspace, once."""

    def __init__(
        self, desk: Desk, catch_ups: CatchUps, lifecycle: Lifecycle, mine: CatchUp, installed: Installed
    ) -> None:
        self._desk = desk
        self._catch_ups = catch_ups
        self._lifecycle = lifecycle
        self._mine = mine
        self._bot = installed.bot
        self._slack: SlackWorkspace = desk.at(installed)
        self._paces: dict[str, Pace] = {}
        self._calls = 0

    async def read(self) -> int:
        """How many were missed. Raises Enough, and SlackRefused where nothing can be read at all."""
        known = await self._catch_ups.known_places(self._mine.team_id)
        listed = await self._pages(
            "users.conversations", "channels", types="public_channel", exclude_archived="true"
        )
        found = 0
        for channel in dict.fromkeys([*ids_of(listed), *(each for each in known if each.startswith("D"))]):
            try:
                found += await self._read_channel(channel, known.get(channel, []))
            except SlackRefused as error:
                if error.reason not in _PLACE_GONE:
                    raise
        return found

    async def _read_channel(self, channel: str, threads: list[str]) -> int:
        since = self._mine.since
        oldest = f"{(since - LOOK_BACK).timestamp():.6f}"
        messages = await self._pages("conversations.history", "messages", channel=channel, oldest=oldest)
        missed = {said.ts: said for said in missed_in(messages, self._bot, channel, since)}
        for thread_ts in threads_to_read(messages, threads, since):
            try:
                replies = await self._pages(
                    "conversations.replies",
                    "messages",
                    channel=channel,
                    ts=thread_ts,
                    oldest=f"{since.timestamp():.6f}",
                )
            except SlackRefused as error:
                if error.reason not in _PLACE_GONE:
                    raise
                continue
            missed |= {said.ts: said for said in missed_in(replies, self._bot, channel, since)}
        return await self._publish(channel, missed)

    async def _publish(self, channel: str, missed: dict[str, Utterance]) -> int:
        """As the events that never came, oldest first; what has an outbox row was heard."""
        heard = (
            await self._catch_ups.answered(self._bot.api_app_id, channel, list(missed)) if missed else set()
        )
        left = [missed[ts] for ts in sorted(missed) if ts not in heard]
        for said in left:
            event = SlackEvent(received_at=datetime.now(UTC), payload=event_of(said, self._bot))
            await self._desk.bus.publish(SLACK_EVENT, event, key=event.key)
        return len(left)

    async def _pages(self, method: str, field: str, **where: str) -> list[dict[str, Any]]:
        """The newest pages of a list, a few at most."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            answer, cursor = await self._call(method, cursor, where)
            found += [each for each in answer.get(field) or [] if isinstance(each, dict)]
            if cursor is None:
                break
        return found

    async def _call(
        self, method: str, cursor: str | None, where: dict[str, str]
    ) -> tuple[dict[str, Any], str | None]:
        """One call, when its turn comes. Slack in trouble is waited for; a no is raised."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            log.warning("too much to catch up", extra={"team_id": self._mine.team_id})
            await self._catch_ups.done(self._mine)
            raise Enough
        for attempt in range(1, MOST_TRIES + 1):
            pace = self._paces.setdefault(method, Pace(BURST, A_MINUTE))
            await self._wait(pace.take(asyncio.get_running_loop().time()))
            try:
                return await self._slack.fetch_page(method, cursor=cursor, **where)
            except (SlackAway, SlackUnknown) as error:
                if attempt == MOST_TRIES:
                    raise
                await self._wait(AWAY_S if error.delay_s is None else error.delay_s)
        raise Enough

    async def _wait(self, delay_s: float) -> None:
        """Keep what is ours while waiting."""
        delay_s = min(delay_s, LONGEST_WAIT_S)
        if not await self._catch_ups.hold(self._mine, delay_s + LEASE_S):
            raise Enough
        if delay_s > 0 and await self._lifecycle.pause(delay_s):
            await self._catch_ups.hold(self._mine, 0.0)
            raise Enough
