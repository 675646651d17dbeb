"""``/doppel report``, ``rollback``, ``switch``, ``forget``: for the person themselves, or an admin, asked of Slack."""

import logging
from dataclasses import dataclass

from doppel.slack.client import SlackRefused
from proto.errors import NoConsent
from services.gateway.core.commands import Switch, Who
from services.gateway.core.forgetting import render_confirm
from services.gateway.core.outbox import Key, NewRow
from services.gateway.core.reply import Post, with_mentions
from services.gateway.core.rights import NotAllowed, check_manage
from services.gateway.handlers.asked import Asked
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.choosing import Chooser
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.people import find_person
from services.gateway.handlers.posting import Poster
from services.gateway.handlers.report import Place, Reports
from services.gateway.repository.voices import WORKSPACE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonaCommands:
    """Each returns one sentence for the asker, or raises a Refusal."""

    desk: Desk
    asker: Asker
    reports: Reports
    chooser: Chooser
    poster: Poster

    async def report(self, asked: Asked, who: Who) -> str:
        """By DM: it stays there, and nobody else reads it."""
        user_id = await self._own(asked, who)
        found = await self.desk.versions.fetch_report(asked.team_id, user_id)
        if found is None:
            return f"There is no voice report of <@{user_id}> yet: a training ends with one."
        if not await self.desk.personas.has_consent(asked.team_id, user_id):
            raise NoConsent(user_id)  # it holds answers in their voice
        try:
            channel = await asked.slack.open_dm(asked.user_id)
        except SlackRefused as error:
            return f"Slack won't let me write to you ({error.reason})."
        place = Place(
            Key(asked.command.api_app_id, channel, f"report:{asked.command.trigger_id}"),
            asked.derived_id("report"),
            asked.team_id,
            asked.user_id,
        )
        if not await self.reports.send(place, user_id, found.prefix, found.manifest_sha256):
            return "That report can't be read any more. The next training makes a new one."
        return f"I sent you the voice report of <@{user_id}> as a direct message."

    async def rollback(self, asked: Asked, who: Who) -> str:
        """The version before the active one answers again."""
        user_id = await self._own(asked, who)
        adapter = await self.chooser.choose(asked.derived_id("rollback"), asked.team_id, user_id, "rollback")
        trained_at = await self.desk.versions.trained_at(adapter.run_id)
        of = f" of {trained_at:%-d %B %Y, %H:%M} UTC" if trained_at else ""
        await self._tell(asked, user_id, f"let the version{of} answer in your voice again")
        return f"From now on <@{user_id}> answers with the version{of} again (run {str(adapter.run_id)[:8]})."

    async def switch(self, asked: Asked, wanted: Switch) -> str:
        """Who answers where nobody is named: in this channel, or in the workspace."""
        team_id, voices = asked.team_id, self.desk.voices
        channel = asked.command.channel_id if wanted.here else WORKSPACE
        place = "in this channel" if wanted.here else "in this workspace"
        if wanted.who is None or wanted.who.user_id == asked.installed.bot.user_id:
            await self._check_place(asked, channel)
            if wanted.to_default:
                await voices.forget(team_id, channel, at=asked.received_at)
                return f"From now on whoever was trained last answers {place}."
            await voices.choose(team_id, channel, None, by=asked.user_id, at=asked.received_at)
            return f"From now on I answer {place} as myself; name a persona to hear it."
        user_id = await self._own(asked, wanted.who)
        await self.asker.adapter_of(team_id, user_id)  # raises what stands in the way
        await voices.choose(team_id, channel, user_id, by=asked.user_id, at=asked.received_at)
        somewhere = "in a channel" if wanted.here else place
        await self._tell(asked, user_id, f"let your voice answer {somewhere} whoever names nobody")
        return f"From now on <@{user_id}> answers {place} whoever names nobody."

    async def forget(self, asked: Asked, who: Who) -> Post:
        """Nothing yet: the question whether it is meant."""
        user_id = await self._own(asked, who)
        return render_confirm(user_id, is_own=user_id == asked.user_id)

    async def _own(self, asked: Asked, who: Who) -> str:
        """Whose persona, if the asker may decide about it. Raises PersonaUnknown, NotAllowed."""
        person = await find_person(asked.slack, who, asked.user_id)
        check_manage(await asked.slack.fetch_asker(asked.user_id), person.user_id)
        return person.user_id

    async def _tell(self, asked: Asked, user_id: str, deed: str) -> None:
        """The person hears by DM what an admin did to their voice."""
        if user_id == asked.user_id:
            return
        try:
            channel = await asked.slack.open_dm(user_id)
        except SlackRefused as error:
            log.warning("not told", extra={"user_id": user_id, "reason": error.reason})
            return
        row = NewRow(
            Key(asked.command.api_app_id, channel, f"told:{asked.command.trigger_id}"),
            asked.team_id,
            "notice",
            asked.derived_id("told"),
            user_id=user_id,
            body={"text": with_mentions(f"<@{asked.user_id}> {deed}. /doppel list shows who answers where.")},
        )
        await self.desk.outbox.add(row)
        await self.poster.post_due(row.request_id)

    async def _check_place(self, asked: Asked, channel: str) -> None:
        """A choice may be taken back by whoever it lets answer, or by an admin. Raises NotAllowed."""
        asker = await asked.slack.fetch_asker(asked.user_id)
        chosen = {each.channel: each.user_id for each in await self.desk.voices.fetch(asked.team_id)}
        if not asker.is_admin and not (asker.is_member and chosen.get(channel) == asked.user_id):
            raise NotAllowed(
                "Only an admin of this workspace, or the person who answers there now, may do that."
            )
