"""The engine has answered: make the text harmless, commit it, post it."""

from dataclasses import dataclass

from doppel.bus import Delivery
from proto.generate import GenerateResult
from services.gateway.core.avatar import avatar_url
from services.gateway.core.feedback import GONE, with_buttons
from services.gateway.core.outbox import OutboxRow
from services.gateway.core.reply import Post, in_place_of, render_answer, render_to_one
from services.gateway.core.thread import Voice
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.mention import BOT_NAME
from services.gateway.handlers.posting import Poster
from services.gateway.repository import Feedback


@dataclass(frozen=True)
class Answers:
    """Turns ``generate.result`` into a reply."""

    desk: Desk
    asker: Asker
    poster: Poster
    feedback: Feedback

    async def on_generate_result(self, result: GenerateResult, _: Delivery) -> None:
        """Commit the answer in the outbox; from then on the outbox owns it."""
        row = await self.desk.outbox.fetch(result.request_id)
        if row is None:
            return  # somebody else's question, by the command line or by hand
        if row.state == "pending" and row.body is None:
            if result.error is not None:
                sentence = await self.desk.sentence(row.team_id, result.error.message)
                await self.desk.questions.answer(row, [sentence], as_persona=False)
            else:
                parts = await self._parts(row, result.text or "")
                if parts:
                    await self.desk.questions.answer(row, parts, as_persona=True, run_id=result.run_id)
                else:
                    sentence = await self.desk.sentence(row.team_id, GONE)
                    await self.desk.questions.answer(row, [sentence], as_persona=False)
        await self.poster.post_due(result.request_id)
        await self.asker.dispatch(row.team_id)  # there is room for one more

    async def _parts(self, row: OutboxRow, text: str) -> list[Post]:
        """What is posted; nothing where it was to take the place of messages that are gone."""
        voice, url = Voice(None, BOT_NAME), ""
        if row.user_id is not None:
            voice = Voice(row.user_id, await self.desk.personas.fetch_name(row.team_id, row.user_id))
            url = avatar_url(self.desk.public_url, row.team_id, row.user_id)
        if row.is_ephemeral:
            return [render_to_one(text, voice, note=row.note)]
        posts = render_answer(text, voice, icon_url=url, note=row.note)
        if row.replaces is not None:
            targets = await self.feedback.messages_of(row.replaces)
            posts = in_place_of(posts, targets) if targets else []
        return with_buttons(posts, row.request_id, row.user_id, may_repeat=row.trigger_ts is not None)
