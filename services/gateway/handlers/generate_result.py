"""The engine has answered: make the text harmless, commit it, post it."""

from dataclasses import dataclass

from doppel.bus import Delivery
from proto.generate import GenerateResult
from services.gateway.core.feedback import GONE
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.rendering import Renderer


@dataclass(frozen=True)
class Answers:
    """Turns ``generate.result`` into a reply."""

    desk: Desk
    asker: Asker
    poster: Poster
    renderer: Renderer

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
                parts = await self.renderer.render(row, result.text or "")
                if parts:
                    await self.desk.questions.answer(row, parts, as_persona=True, run_id=result.run_id)
                else:
                    sentence = await self.desk.sentence(row.team_id, GONE)
                    await self.desk.questions.answer(row, [sentence], as_persona=False)
        await self.poster.post_due(result.request_id)
        await self.asker.dispatch(row.team_id)  # there is room for one more
