"""From something that somebody said to the question for the engine: the thread is read, people get their names."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doppel.slack.client import SlackRefused
from proto.conversation import Turn
from services.gateway.core.routing import Installed
from services.gateway.core.thread import Voice, bounded, people_in, turns_of
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.people import fetch_names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Said:
    """What somebody asks, without the words that only address us."""

    user_id: str
    text: str
    channel: str
    ts: str
    thread_ts: str | None = None  # None: it opens its thread, so nothing was said before


@dataclass(frozen=True)
class Thinker:
    """Turns for the engine."""

    desk: Desk

    async def read(self, installed: Installed, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """A thread; where we may not read, the question stands alone."""
        try:
            return await self.desk.at(installed).fetch_thread(channel, thread_ts)
        except SlackRefused as error:
            log.warning("thread not read", extra={"channel": channel, "reason": error.reason})
            return []

    async def turns(
        self, installed: Installed, said: Said, thread: Sequence[Mapping[str, Any]], voice: Voice
    ) -> tuple[Turn, ...]:
        """What was said before in the thread, as much as fits, and the question; empty where that has no words."""
        limits = self.desk.limits
        before = bounded(
            thread, said.ts, messages=limits.thread_messages, characters=limits.thread_characters
        )
        people = [said.user_id, *people_in(before, said.text)]
        return turns_of(
            before,
            said.text,
            said.user_id,
            bot=installed.bot,
            voice=voice,
            names=await fetch_names(self.desk.at(installed), people),
            channel=said.channel,
            question_ts=said.ts,
        )
