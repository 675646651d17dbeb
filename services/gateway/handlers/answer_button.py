"""The buttons under an answer: how good it is, once more, and *this is not me*."""

import logging
from dataclasses import dataclass
from datetime import datetime

from doppel.slack.client import SlackRefused
from proto.body import derived_id
from proto.errors import Refusal, TransientError
from proto.generate import GenerateRequest
from proto.slack import Interaction
from services.gateway.core.feedback import (
    GONE,
    NO_QUESTION,
    REPLACED,
    THANKS,
    Press,
    check_again,
    check_not_me,
    check_rate,
    is_answer,
    read_press,
    render_not_me,
)
from services.gateway.core.outbox import Key, NewRow, OutboxRow
from services.gateway.core.routing import Installed
from services.gateway.core.thread import Voice, read_question
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Desk, seal_url
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.pressed import tell_presser
from services.gateway.handlers.rendering import BOT_NAME
from services.gateway.handlers.thinking import Said, Thinker
from services.gateway.repository import Feedback

log = logging.getLogger(__name__)

ON_ITS_WAY_S = 1.0
MOST_TOLD = 10


@dataclass(frozen=True)
class AnswerButtons:
    """Every press may come twice and late: what it is about is looked up, never taken from the payload."""

    desk: Desk
    asker: Asker
    poster: Poster
    feedback: Feedback
    moderator: Moderator

    async def on_interaction(self, pressed: Interaction, installed: Installed, received_at: datetime) -> bool:
        """True: it was about an answer, and is done."""
        press = read_press(pressed)
        if press is None:
            return False
        try:
            said = await self._do(press, pressed, installed, received_at)
        except SlackRefused as error:
            said = f"Slack won't let me do that ({error.reason})."
        except Refusal as error:
            said = str(error)
        if said is not None:
            await tell_presser(self.desk, self.poster, pressed, installed, said)
        return True

    async def _do(
        self, press: Press, pressed: Interaction, installed: Installed, received_at: datetime
    ) -> str | None:
        row = await self._answer(press, pressed, installed)
        if row is None:
            return GONE
        slack = self.desk.at(installed)
        if press.deed == "not_me":
            check_not_me(pressed.user.id, row)
            await self.feedback.rate(row, pressed.user.id, "not_me", at=received_at)
            await self._take_back(row, installed)
            return THANKS["not_me"]
        presser = await slack.fetch_asker(pressed.user.id)
        rules = await self.desk.rules_of(row.team_id)
        if press.deed == "again":
            check_again(presser, row, rules)
            return await self._again(row, pressed, installed)
        check_rate(presser, row, rules)
        await self.feedback.rate(row, pressed.user.id, press.deed, at=received_at)
        return THANKS[press.deed]

    async def _answer(self, press: Press, pressed: Interaction, installed: Installed) -> OutboxRow | None:
        bot, channel = installed.bot, pressed.channel_id
        if press.request_id is not None:
            found = await self.desk.outbox.fetch(press.request_id)
        elif channel is not None and pressed.message_ts is not None:
            found = await self.feedback.find(bot.api_app_id, channel, pressed.message_ts)
        else:
            found = None
        place = {"api_app_id": bot.api_app_id, "team_id": bot.team_id, "channel": channel}
        if found is None or not is_answer(found, **place):
            return None
        if not await self.feedback.is_whole(
            found.request_id
        ):  # seen and pressed before we have written it down
            raise TransientError("That answer is on its way.", delay_s=ON_ITS_WAY_S)
        return found

    # once more

    async def _again(self, row: OutboxRow, pressed: Interaction, installed: Installed) -> str | None:
        """A question like the first one; its answer comes in place of the first one, or not at all."""
        desk = self.desk
        key = Key(row.key.api_app_id, row.key.channel, f"{pressed.message_ts or ''}#{pressed.trigger_id}")
        new = NewRow(
            key,
            row.team_id,
            "reply",
            derived_id("again", row.key.api_app_id, pressed.trigger_id),
            user_id=row.user_id,
            asked_by=row.asked_by,
            thread_ts=row.thread_ts,
            trigger_ts=row.trigger_ts,
            deadline_s=desk.clocks.answer_deadline_s,
            response_url=seal_url(desk, row.team_id, pressed.response_url),
            replaces=row.request_id,
        )
        await desk.outbox.receive(pressed.api_app_id, pressed.trigger_id, new)
        known = await desk.outbox.fetch(new.request_id)
        if known is None:
            return REPLACED  # the outbox takes one at a time for each answer
        if known.state == "pending" and known.body is None:
            if known.question is None:
                await self._think(known, installed)
            await self.asker.dispatch(row.team_id)
        await self.poster.post_due(new.request_id)
        return None

    async def _think(self, row: OutboxRow, installed: Installed) -> None:
        """The question is read again where it was asked: we keep no copy."""
        desk, thinker = self.desk, Thinker(self.desk)
        thread = await thinker.read(installed, row.key.channel, row.thread_ts or "") if row.thread_ts else []
        asked = next((each for each in thread if each.get("ts") == row.trigger_ts and row.trigger_ts), None)
        turns = ()
        if asked is not None:
            name = await desk.personas.fetch_name(row.team_id, row.user_id) if row.user_id else BOT_NAME
            said = Said(
                str(asked.get("user") or ""),
                read_question(str(asked.get("text") or ""), installed.bot.user_id).text,
                row.key.channel,
                str(asked["ts"]),
                row.thread_ts,
            )
            turns = await thinker.turns(installed, said, thread, Voice(row.user_id, name))
        if not turns:
            sentence = await desk.sentence(row.team_id, NO_QUESTION)
            await desk.questions.answer(row, [sentence], as_persona=False)
            return
        request = GenerateRequest(
            request_id=row.request_id, team_id=row.team_id, user_id=row.user_id, turns=turns
        )
        await desk.questions.set_question(row.key, request)

    # not me

    async def _take_back(self, row: OutboxRow, installed: Installed) -> None:
        """Nothing of it stays, and nothing of it comes after. Done again, it finds nothing more to do."""
        desk, slack = self.desk, self.desk.at(installed)
        await self.moderator.on_not_me(row)
        left = await self.feedback.take_back(row.request_id)
        for request_id in left.at_the_engine:
            await desk.stop_answer(request_id, "not_me")
        for ts in left.message_ts:
            await slack.delete(row.key.channel, ts)
        if left.on_its_way:
            raise TransientError("Something of that answer is on its way.", delay_s=ON_ITS_WAY_S)
        await self._report(row, installed)

    async def _report(self, row: OutboxRow, installed: Installed) -> None:
        """Admins hear of it by DM, and whoever had that version trained."""
        desk, slack = self.desk, self.desk.at(installed)
        trained_by = await desk.trainings.asked_by(row.run_id) if row.run_id else None
        told = dict.fromkeys([*((trained_by,) if trained_by else ()), *await slack.fetch_admins()])
        for user_id in [each for each in told if each != row.user_id][:MOST_TOLD]:
            try:
                channel = await slack.open_dm(user_id)
            except SlackRefused as error:
                log.warning("not told", extra={"user_id": user_id, "reason": error.reason})
                continue
            notice = NewRow(
                Key(row.key.api_app_id, channel, f"not_me:{row.request_id}"),
                row.team_id,
                "notice",
                derived_id("not-me", str(row.request_id), user_id),
                user_id=user_id,
                body=render_not_me(row),
            )
            await desk.outbox.add(notice)
            await self.poster.post_due(notice.request_id)
