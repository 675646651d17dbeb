"""``/doppel debate @ada @bram …``: two personas answer one another in a thread."""

from dataclasses import dataclass
from typing import Final

from doppel.slack import mrkdwn
from services.gateway.core.commands import Debate as Wanted
from services.gateway.core.debate import TOPIC_LIMIT, Debate
from services.gateway.core.rights import check_hear
from services.gateway.handlers.asked import Asked
from services.gateway.handlers.asking import Asker
from services.gateway.handlers.debating import Moderator
from services.gateway.handlers.desk import Desk
from services.gateway.handlers.people import fetch_names, find_person

TWICE: Final = "It takes two different people to debate."
ANOTHER: Final = "There is a debate in this channel already. Stop it first, or try again when it is over."


@dataclass(frozen=True)
class DebateCommand:
    """Begins it; the moderator goes on with it."""

    desk: Desk
    asker: Asker
    moderator: Moderator
    turns: int

    async def debate(self, asked: Asked, wanted: Wanted) -> str | None:
        """None: it has begun, in the channel. Raises a Refusal."""
        team_id, command = asked.team_id, asked.command
        check_hear(await asked.slack.fetch_asker(asked.user_id), await self.desk.rules_of(team_id))
        people = [await find_person(asked.slack, who, asked.user_id) for who in wanted.speakers]
        speakers = tuple(dict.fromkeys(person.user_id for person in people))
        if len(speakers) < 2:
            return TWICE
        for user_id in speakers:
            await self.asker.adapter_of(team_id, user_id)
        names = await fetch_names(asked.slack, mrkdwn.mentions(wanted.topic))
        debate = Debate(
            debate_id=asked.derived_id("debate"),
            api_app_id=command.api_app_id,
            team_id=team_id,
            channel=command.channel_id,
            asked_by=asked.user_id,
            speakers=speakers,
            topic=mrkdwn.to_plain(wanted.topic, names).strip()[:TOPIC_LIMIT],
            turns=self.turns,
        )
        return None if await self.moderator.open(debate) else ANOTHER
