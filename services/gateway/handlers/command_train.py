"""``/doppel train`` and ``/doppel cancel``."""

from dataclasses import dataclass
from typing import Final

from proto.body import derived_id
from proto.train import run_id_of
from services.gateway.core.commands import Who
from services.gateway.core.consent import render_question
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.reply import with_mentions
from services.gateway.core.rights import NotAllowed, check_train, may_manage
from services.gateway.core.rules import Rules
from services.gateway.handlers.asked import Asked
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.people import find_person, find_trainable
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository import Training
from services.gateway.repository.trainings import Full

FULL: Final[dict[Full, str]] = {
    "runs": "This workspace may have {0.runs_a_day} trainings in 24 hours, and has used them. Try again tomorrow.",
    "personas": "This workspace may have {0.personas} personas, and has them. Somebody must leave first.",
}


@dataclass(frozen=True)
class TrainCommands:
    """Begin, and stop."""

    desk: Desk
    flow: TrainingFlow
    poster: Poster

    async def train(self, asked: Asked, who: Who) -> str:
        """Ask for the person's yes, or begin where it is there. Raises a Refusal."""
        desk, team_id = self.desk, asked.team_id
        rules = await desk.rules_of(team_id)
        person = await find_trainable(asked.slack, who, asked.user_id)
        check_train(await asked.slack.fetch_asker(asked.user_id), person.user_id, rules)
        await desk.personas.store(team_id, person.user_id, person.name)
        training = await self._open(asked, person.user_id, rules)
        if isinstance(training, str):
            return training
        if await desk.personas.has_consent(team_id, person.user_id):
            if training.state != "done":
                await self.flow.start(training)
            return f"<@{person.user_id}> has agreed before, so I begin. The message in this channel tells how far I am."
        await self._ask(asked, training)
        return f"I have asked <@{person.user_id}>. I begin when they press Allow, and not before."

    async def _open(self, asked: Asked, user_id: str, rules: Rules) -> Training | str:
        """This request's training; or why there is none."""
        desk, request_id = self.desk, asked.derived_id("train")
        known = await desk.trainings.fetch(request_id)
        if known is not None:
            return known
        for other in await desk.trainings.fetch_open(asked.team_id, user_id):
            if other.state == "asking":
                return f"<@{user_id}> has been asked already. I start as soon as they press Allow."
            return f"<@{user_id}> is being trained already."
        training = Training(
            request_id=request_id,
            team_id=asked.team_id,
            user_id=user_id,
            run_id=run_id_of(request_id, user_id),
            asked_by=asked.user_id,
            api_app_id=asked.command.api_app_id,
            channel=asked.command.channel_id,
            state="asking",
            requested_at=asked.received_at,
        )
        added = await desk.trainings.add(training, runs_a_day=rules.runs_a_day, personas=rules.personas)
        return FULL[added].format(rules) if isinstance(added, str) else added

    async def _ask(self, asked: Asked, training: Training) -> None:
        """The consent question, by DM."""
        row = NewRow(
            Key(
                training.api_app_id,
                await asked.slack.open_dm(training.user_id),
                f"consent:{training.request_id}",
            ),
            training.team_id,
            "question",
            derived_id("consent", str(training.request_id)),
            user_id=training.user_id,
            asked_by=training.asked_by,
            body=render_question(training.asked_by, str(training.request_id)),
        )
        await self.desk.outbox.add(row)
        await self.poster.post_due(row.request_id)

    async def cancel(self, asked: Asked, who: Who | None) -> str:
        """Stop what is under way for somebody, or what the asker began. Raises a Refusal."""
        desk, team_id = self.desk, asked.team_id
        asker = await asked.slack.fetch_asker(asked.user_id)
        if who is None:
            under_way = await desk.trainings.fetch_asked(team_id, asked.user_id)
        else:
            person = await find_person(asked.slack, who, asked.user_id)
            under_way = await desk.trainings.fetch_open(team_id, person.user_id)
        if not under_way:
            return "There is no training under way that you could stop."
        mine = [
            each for each in under_way if each.asked_by == asked.user_id or may_manage(asker, each.user_id)
        ]
        if not mine:
            raise NotAllowed("Only whoever asked for a training, its person, or an admin may stop it.")
        for each in mine:
            stopped = f"The training of <@{each.user_id}> was stopped by <@{asked.user_id}>. Nothing changes."
            await self.flow.stop(each, {"text": with_mentions(stopped)}, reason="cancelled")
        people = ", ".join(dict.fromkeys(f"<@{each.user_id}>" for each in mine))
        return f"Stopped: the training of {people}."
