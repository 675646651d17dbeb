"""``/doppel ask @ada …``: a persona answers, and only the asker sees it."""

from dataclasses import dataclass

from doppel.slack import mrkdwn
from proto.generate import GenerateRequest
from services.gateway.core.commands import Ask
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.rights import check_hear
from services.gateway.core.thread import Voice, turns_of
from services.gateway.handlers.asked import Asked
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.desk import Desk, seal_url
from services.gateway.handlers.people import fetch_names, find_person
from services.gateway.handlers.posting import Poster


@dataclass(frozen=True)
class AskCommand:
    """The question is an outbox row like a mention's: answered once, within its deadline, with consent asked twice."""

    desk: Desk
    asker: Asker
    poster: Poster

    async def ask(self, asked: Asked, wanted: Ask) -> str | None:
        """Ask the engine; None: the answer comes by itself. Raises a Refusal."""
        desk, team_id, command = self.desk, asked.team_id, asked.command
        check_hear(await asked.slack.fetch_asker(asked.user_id), await desk.rules_of(team_id))
        person = await find_person(asked.slack, wanted.who, asked.user_id)
        await self.asker.adapter_of(team_id, person.user_id)
        sealed = seal_url(desk, team_id, command.response_url)
        channel = command.channel_id if sealed else await asked.slack.open_dm(asked.user_id)
        key = Key(command.api_app_id, channel, command.trigger_id)
        request_id = asked.derived_id("generate")
        row = NewRow(
            key,
            team_id,
            "reply",
            request_id,
            asked_by=asked.user_id,
            response_url=sealed,
            deadline_s=desk.clocks.answer_deadline_s,
        )
        await desk.outbox.receive(command.api_app_id, command.trigger_id, row)
        known = await desk.outbox.fetch(request_id)
        if known is not None and known.state == "pending" and known.body is None:
            if known.question is None:
                await self._question(asked, key, wanted.text, person.user_id)
            await self.asker.dispatch(team_id)
        await self.poster.post_due(request_id)
        return None

    async def _question(self, asked: Asked, key: Key, text: str, user_id: str) -> None:
        desk, team_id = self.desk, asked.team_id
        names = await fetch_names(asked.slack, [asked.user_id, *mrkdwn.mentions(text)])
        voice = Voice(user_id, await desk.personas.fetch_name(team_id, user_id))
        turns = turns_of(
            [],
            text,
            asked.user_id,
            bot=asked.installed.bot,
            voice=voice,
            names=names,
            channel=asked.command.channel_id,
            question_ts=f"{asked.received_at.timestamp():.6f}",
        )
        request_id = asked.derived_id("generate")
        if not turns:
            row = await desk.outbox.fetch(request_id)
            if row is not None:
                post = await desk.sentence(team_id, "What would you like to know? Write it after the name.")
                await desk.questions.answer(row, [post], as_persona=False)
            return
        request = GenerateRequest(request_id=request_id, team_id=team_id, user_id=user_id, turns=turns)
        await desk.questions.set_question(key, request)
