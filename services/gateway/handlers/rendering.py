"""From the engine's words to messages: under whose name, with which buttons, new or in place of others."""

from dataclasses import dataclass
from typing import Final

from services.gateway.core.avatar import avatar_url
from services.gateway.core.feedback import with_buttons
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import Post, in_place_of, render_answer, render_to_one
from services.gateway.core.thread import Voice
from services.gateway.handlers.desk import Desk
from services.gateway.repository import Feedback

BOT_NAME: Final = "doppel"


@dataclass(frozen=True)
class Renderer:
    """What an answer looks like."""

    desk: Desk
    feedback: Feedback

    async def voice(self, row: OutboxRow) -> Voice:
        """Who answers."""
        if row.user_id is None:
            return Voice(None, BOT_NAME)
        return Voice(row.user_id, await self.desk.personas.fetch_name(row.team_id, row.user_id))

    def icon_url(self, row: OutboxRow) -> str:
        """The persona's picture."""
        return avatar_url(self.desk.public_url, row.team_id, row.user_id) if row.user_id else ""

    async def render(self, row: OutboxRow, text: str) -> list[Post]:
        """What is posted; nothing where it was to take the place of messages that are gone."""
        voice = await self.voice(row)
        if row.is_ephemeral:
            return [render_to_one(text, voice, note=row.note)]
        posts = render_answer(text, voice, icon_url=self.icon_url(row), note=row.note)
        if row.replaces is not None:
            targets = await self.feedback.messages_of(row.replaces)
            posts = in_place_of(posts, targets) if targets else []
        return with_buttons(posts, row.request_id, row.user_id, may_repeat=row.trigger_ts is not None)
