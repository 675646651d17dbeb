"""What people see while the engine works: that it does, and, where that is wanted, the answer as it is written.

Only a courtesy: `generate.result` carries the whole text, and the outbox makes the message what it has to be in the
end, on whichever replica, also where this one is gone.
"""

import asyncio
import contextlib
import logging
from collections import Counter as Tally
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.errors import NoConsent
from proto.generate import TokenDelta
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.adapters.tokens import Tokens
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import metadata, render_answer
from services.gateway.core.streaming import Written, may_stream, showable
from services.gateway.core.thread import Voice
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.rendering import Renderer

log = logging.getLogger(__name__)

THINKING: Final = "is thinking…"
SUBSCRIBE_S: Final = 2.0
APPENDS_A_SECOND: Final = 1.4  # of a workspace, over all its streams: Slack takes a hundred a minute


@dataclass(frozen=True)
class Pace:
    """How an answer is shown."""

    streams: bool  # else one message, once it is whole
    streams_a_minute: int
    append_every_s: float = 1.0
    update_every_s: float = 3.0


class StreamMetrics:
    """What became of answers that were shown while they were written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.streams = Counter(
            "doppel_streams", "Streamed answers by outcome.", ["outcome"], registry=registry
        )


@dataclass
class Begun:
    """A message that grows."""

    ts: str
    is_stream: bool  # else it is rewritten each time
    shown: str


@dataclass(frozen=True)
class Showing:
    """Begins with the question; ends by itself."""

    desk: Desk
    tokens: Tokens
    renderer: Renderer
    poster: Poster
    tasks: asyncio.TaskGroup
    pace: Pace
    metrics: StreamMetrics
    _live: Tally[str] = field(default_factory=Tally[str])

    async def begin(self, row: OutboxRow) -> None:
        """Right before the engine is asked."""
        if not may_stream(row):
            return
        await self._say_so(row)
        if self.pace.streams:
            ready = asyncio.Event()
            self.tasks.create_task(self._follow(row, ready), name="stream")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUBSCRIBE_S):
                    await ready.wait()

    async def _say_so(self, row: OutboxRow) -> None:
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None or row.thread_ts is None:
            return
        identity = self._identity(row, await self.renderer.voice(row))
        try:
            await self.desk.at(installed).set_status(row.key.channel, row.thread_ts, THINKING, **identity)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.info("no status shown", extra={"team_id": row.team_id, "error": type(error).__name__})

    def _identity(self, row: OutboxRow, voice: Voice) -> dict[str, str]:
        if voice.user_id is None:
            return {}
        return {"username": voice.username, "icon_url": self.renderer.icon_url(row)}

    async def _follow(self, row: OutboxRow, ready: asyncio.Event) -> None:
        """Nothing that goes wrong here may end anything else."""
        self._live[row.team_id] += 1
        try:
            async with (
                asyncio.timeout(self.desk.clocks.answer_deadline_s),
                self.tokens.listening(row.request_id) as pieces,
            ):
                ready.set()
                outcome = await self._show(row, pieces)
            self.metrics.streams.labels(outcome).inc()
        except TimeoutError:
            self.metrics.streams.labels("late").inc()
        except Exception as error:
            self.metrics.streams.labels("broken").inc()
            log.warning("no longer streamed", extra={"error": type(error).__name__}, exc_info=error)
        finally:
            self._live[row.team_id] -= 1
            ready.set()

    async def _show(self, row: OutboxRow, pieces: asyncio.Queue[TokenDelta]) -> str:
        installed = await self.desk.workspaces.fetch(row.team_id)
        if installed is None:
            return "not_installed"
        slack, voice = self.desk.at(installed), await self.renderer.voice(row)
        written, begun = Written(), None
        while not written.is_done:
            written.add(await pieces.get())
            while not pieces.empty():
                written.add(pieces.get_nowait())
            text = showable(written.text, is_persona=row.user_id is not None)
            if begun is None and text:
                begun = await self._begin(slack, row, voice, text)
                if begun is None:
                    return "single"
            elif begun is not None and len(text) > len(begun.shown):
                outcome = await self._go_on(slack, row, voice, begun, text, written)
                if outcome is not None:
                    return outcome
            if begun is not None:
                await asyncio.sleep(self._pause_s(row, begun))
        return "whole"

    def _pause_s(self, row: OutboxRow, begun: Begun) -> float:
        if not begun.is_stream:
            return self.pace.update_every_s
        return max(self.pace.append_every_s, self._live[row.team_id] / APPENDS_A_SECOND)

    async def _begin(self, slack: SlackWorkspace, row: OutboxRow, voice: Voice, text: str) -> Begun | None:
        """Its message, written down before and after. None: it comes in one piece, like others."""
        desk = self.desk
        if row.user_id is not None and not await desk.personas.has_consent(row.team_id, row.user_id):
            return None
        identity = self._identity(row, voice)
        if not await desk.streams.reserve(row, identity.get("username", ""), self.pace.streams_a_minute):
            return None
        channel, thread_ts = row.key.channel, row.thread_ts or ""
        try:
            try:
                ts = await slack.start_stream(
                    channel, thread_ts, text, asked_by=row.asked_by or "", **identity
                )
                begun = Begun(ts, is_stream=True, shown=text)
            except SlackRefused as error:  # no streams there: a message that is rewritten does too
                log.info("no stream there", extra={"team_id": row.team_id, "reason": error.reason})
                mark = metadata(str(row.request_id), 0)
                post = self._partial(row, voice, text)
                ts = await slack.post(channel, post, thread_ts=thread_ts, metadata=mark)
                begun = Begun(ts, is_stream=False, shown=text)
        except (SlackRefused, SlackAway):  # definitely not there
            await desk.streams.forget(row)
            return None
        except SlackUnknown:  # perhaps there: it is looked for when the answer is posted
            return None
        if await desk.streams.begun(row, begun.ts):
            return begun
        await slack.stop_stream(channel, begun.ts)
        await slack.delete(channel, begun.ts)
        return None

    def _partial(self, row: OutboxRow, voice: Voice, text: str) -> dict[str, Any]:
        return render_answer(text, voice, icon_url=self.renderer.icon_url(row))[0]

    async def _go_on(
        self, slack: SlackWorkspace, row: OutboxRow, voice: Voice, begun: Begun, text: str, written: Written
    ) -> str | None:
        """Show more; or how it ended."""
        desk, channel = self.desk, row.key.channel
        if row.user_id is not None and not await desk.personas.has_consent(row.team_id, row.user_id):
            sentence = await desk.sentence(row.team_id, str(NoConsent(row.user_id)))
            await desk.questions.answer(row, [sentence], as_persona=False)
            return await self._cut_short(row, "no_consent")
        if not await desk.streams.is_open(row):
            return "answered"
        try:
            if begun.is_stream:
                await slack.append_stream(channel, begun.ts, text[len(begun.shown) :])
            else:
                post = self._partial(row, voice, text)
                await slack.update(channel, begun.ts, {"text": post["text"], "blocks": post.get("blocks")})
        except SlackAway:
            return None  # later, with what comes until then
        except SlackUnknown:
            if begun.is_stream:
                return "unknown"  # the same piece may stand there already
        except SlackRefused as error:
            if error.reason != "stopped_by_user":
                return error.reason
            await desk.questions.answer(row, await self.renderer.render(row, written.text), as_persona=True)
            return await self._cut_short(row, error.reason)
        begun.shown = text
        return None

    async def _cut_short(self, row: OutboxRow, reason: str) -> str:
        """It is answered, so the engine need not go on."""
        await self.desk.stop_answer(row.request_id, reason)
        await self.poster.post_due(row.request_id)
        return reason
