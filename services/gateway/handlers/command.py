"""``/doppel …``: train somebody, or say how things stand."""

from dataclasses import dataclass
from datetime import datetime

from doppel.slack.client import SlackRefused
from proto.body import derived_id
from proto.conversation import Person
from proto.errors import DoppelError, PersonaNotAllowed, PersonaUnknown
from proto.slack import SlashCommand
from proto.train import run_id_of
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.commands import Help, Import, Status, Train, Who, parse
from services.gateway.core.consent import render_question
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.people import named, why_not
from services.gateway.core.progress import render_status
from services.gateway.core.routing import Installed
from services.gateway.handlers.desk import Desk, make_notice
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.training import TrainingFlow
from services.gateway.repository import Training

SHOWN = 10


@dataclass(frozen=True)
class Commands:
    """What people type."""

    desk: Desk
    flow: TrainingFlow
    poster: Poster

    async def on_command(self, command: SlashCommand, installed: Installed, received_at: datetime) -> None:
        """Do it, and say in one sentence what came of it."""
        match parse(command.text):
            case Help() | Import():  # answered at the door already
                return
            case Status():
                sentence = await self._status(installed.bot.team_id)
            case Train(who):
                try:
                    sentence = await self._train(command, who, installed, received_at)
                except SlackRefused as error:
                    sentence = f"Slack won't let me ask them ({error.reason})."
                except (PersonaUnknown, PersonaNotAllowed) as error:
                    sentence = str(error)
        await self._say(command, installed, sentence)

    async def _say(self, command: SlashCommand, installed: Installed, sentence: str) -> None:
        row = await make_notice(
            self.desk,
            installed,
            channel=command.channel_id,
            trigger=command.trigger_id,
            asked_by=command.user_id,
            response_url=command.response_url,
            post=await self._post(installed, sentence),
        )
        await self.desk.outbox.receive(command.api_app_id, command.trigger_id, row)
        await self.poster.post_due(row.request_id)

    async def _post(self, installed: Installed, sentence: str) -> dict[str, object]:
        return await self.desk.sentence(installed.bot.team_id, sentence)

    async def _train(
        self, command: SlashCommand, who: Who, installed: Installed, received_at: datetime
    ) -> str:
        desk, team_id = self.desk, installed.bot.team_id
        slack = desk.at(installed)
        person = await self._person(slack, who)
        await desk.personas.store(team_id, person.user_id, person.name)
        request_id = derived_id("train", command.api_app_id, command.trigger_id)
        known = await desk.trainings.fetch(request_id)
        if known is None:
            for other in await desk.trainings.fetch_open(team_id, person.user_id):
                if other.state == "asking":
                    return f"<@{person.user_id}> has been asked already. I start as soon as they press Allow."
                return f"<@{person.user_id}> is being trained already."
        training = known or await desk.trainings.add(
            Training(
                request_id=request_id,
                team_id=team_id,
                user_id=person.user_id,
                run_id=run_id_of(request_id, person.user_id),
                asked_by=command.user_id,
                api_app_id=command.api_app_id,
                channel=command.channel_id,
                state="asking",
                requested_at=received_at,
            )
        )
        if await desk.personas.has_consent(team_id, person.user_id):
            if training.state != "done":
                await self.flow.start(training)
            return f"<@{person.user_id}> has agreed before, so I begin. The message in this channel tells how far I am."
        await self._ask(slack, training)
        return f"I have asked <@{person.user_id}>. I begin when they press Allow, and not before."

    async def _ask(self, slack: SlackWorkspace, training: Training) -> None:
        """The consent question, by DM."""
        row = NewRow(
            Key(
                training.api_app_id,
                await slack.open_dm(training.user_id),
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

    async def _person(self, slack: SlackWorkspace, who: Who) -> Person:
        """Who is meant. Raises PersonaUnknown, PersonaNotAllowed."""
        if who.user_id is not None:
            person = await slack.fetch_person(who.user_id)
            if person is None:
                raise PersonaUnknown(who.user_id)
        else:
            found = named(await slack.fetch_people(), who.name)
            if len(found) != 1:
                raise PersonaUnknown(who.name) if not found else _Ambiguous(who.name)
            person = found[0]
        reason = why_not(person, slack.bot.user_id)
        if reason is not None:
            raise PersonaNotAllowed(person.user_id, reason)
        return person

    async def _status(self, team_id: str) -> str:
        active = await self.desk.personas.fetch_active(team_id)
        under_way = await self.desk.trainings.fetch_newest(team_id, SHOWN)
        return render_status(
            [persona.name for persona in active[:SHOWN]],
            [(training.user_id, training.state) for training in under_way],
        )


class _Ambiguous(PersonaUnknown):
    """Several people of that name."""

    def __init__(self, name: str) -> None:
        DoppelError.__init__(
            self, f"There are several people called {name}. Name them by mention, like @ada."
        )
