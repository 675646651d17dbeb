"""``/doppel …``: read it, let it be done, and say in one sentence what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from doppel.slack.client import SlackRefused
from proto.errors import Refusal
from proto.slack import SlashCommand
from services.gateway.core.commands import (
    Ask,
    Cancel,
    Consent,
    Debate,
    Forget,
    Help,
    Import,
    Limits,
    ListPersonas,
    Menu,
    Report,
    Rollback,
    Status,
    Switch,
    Train,
    first_answer,
    parse,
)
from services.gateway.core.commands import Command as Parsed
from services.gateway.core.consent import render_own
from services.gateway.core.reply import Post
from services.gateway.core.rights import check_admin
from services.gateway.core.routing import Installed
from services.gateway.core.rules import Change, render_rules
from services.gateway.core.standing import render_list, render_status
from services.gateway.handlers.asked import Asked
from services.gateway.handlers.command_ask import AskCommand
from services.gateway.handlers.command_debate import DebateCommand
from services.gateway.handlers.command_persona import PersonaCommands
from services.gateway.handlers.command_train import TrainCommands
from services.gateway.handlers.desk import Desk, make_notice
from services.gateway.handlers.home import fetch_standing
from services.gateway.handlers.opening import Opener
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.withdrawing import Consents

SHOWN: Final = 10


@dataclass(frozen=True)
class Commands:
    """What people type."""

    desk: Desk
    poster: Poster
    trainings: TrainCommands
    personas: PersonaCommands
    ask: AskCommand
    debates: DebateCommand
    consents: Consents
    opener: Opener

    async def on_command(
        self, command: SlashCommand, installed: Installed, received_at: datetime, *, from_form: bool = False
    ) -> None:
        """Do it, and tell the asker. `from_form`: the door has told them nothing yet."""
        asked = Asked(command, installed, self.desk.at(installed), received_at)
        parsed = parse(command.text)
        try:
            if from_form and isinstance(parsed, Help | Import):
                said = first_answer(parsed, asked.team_id)
            else:
                said = await self._do(asked, parsed)
        except SlackRefused as error:
            said = f"Slack won't let me do that ({error.reason})."
        except Refusal as error:
            said = str(error)
        if said is not None:
            await self._say(asked, said)

    async def _do(self, asked: Asked, parsed: Parsed) -> Post | str | None:
        match parsed:
            case Help() | Import():  # answered at the door already
                return None
            case Menu():
                return await self.opener.open(
                    asked.installed,
                    asked.command.trigger_id,
                    channel=asked.command.channel_id,
                    response_url=asked.command.response_url,
                )
            case Train(who):
                return await self.trainings.train(asked, who)
            case Cancel(who):
                return await self.trainings.cancel(asked, who)
            case Report(who):
                return await self.personas.report(asked, who)
            case Rollback(who):
                return await self.personas.rollback(asked, who)
            case Switch():
                return await self.personas.switch(asked, parsed)
            case Ask():
                return await self.ask.ask(asked, parsed)
            case Debate():
                return await self.debates.debate(asked, parsed)
            case ListPersonas():
                return render_list(
                    await fetch_standing(self.desk, asked.team_id, SHOWN), asked.command.channel_id
                )
            case Status():
                return render_status(await fetch_standing(self.desk, asked.team_id, SHOWN))
            case Consent(granted):
                return await self._consent(asked, granted)
            case Forget(who):
                return await self.personas.forget(asked, who)
            case Limits(change):
                return await self._limits(asked, change)

    async def _say(self, asked: Asked, said: Post | str) -> None:
        post = await self.desk.sentence(asked.team_id, said) if isinstance(said, str) else said
        command = asked.command
        row = await make_notice(
            self.desk,
            asked.installed,
            channel=command.channel_id,
            trigger=command.trigger_id,
            asked_by=command.user_id,
            response_url=command.response_url,
            post=post,
        )
        await self.desk.outbox.receive(command.api_app_id, command.trigger_id, row)
        await self.poster.post_due(row.request_id)

    async def _consent(self, asked: Asked, granted: bool | None) -> Post:
        if granted is not None:
            source_key = f"command/{asked.command.api_app_id}/{asked.command.trigger_id}"
            await self.consents.record(asked.installed, asked.user_id, granted=granted, source_key=source_key)
        return render_own(await self.desk.personas.fetch_consent(asked.team_id, asked.user_id))

    async def _limits(self, asked: Asked, change: Change | None) -> str:
        if change is not None:
            check_admin(await asked.slack.fetch_asker(asked.user_id))
            await self.desk.own_rules.change(asked.team_id, change, by=asked.user_id)
        rules = await self.desk.rules_of(asked.team_id)
        return render_rules(rules, await self.desk.own_rules.usage(asked.team_id))
