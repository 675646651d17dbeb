"""Who is meant, who asks, and what people are called: as Slack says it."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from doppel.slack.client import SlackAway, SlackRefused, SlackUnknown
from proto.conversation import Person
from proto.errors import DoppelError, PersonaNotAllowed, PersonaUnknown
from services.gateway.adapters.slack import SlackWorkspace
from services.gateway.core.commands import Who
from services.gateway.core.people import named, why_not

log = logging.getLogger(__name__)

MOST_NAMES: Final = 40


class Ambiguous(PersonaUnknown):
    """Several people of that name."""

    def __init__(self, name: str) -> None:
        DoppelError.__init__(
            self, f"There are several people called {name}. Name them by mention, like @ada."
        )


async def find_person(slack: SlackWorkspace, who: Who, asker_id: str) -> Person:
    """Who is meant. Raises PersonaUnknown."""
    user_id = asker_id if who.is_asker else who.user_id
    if user_id is not None:
        person = await slack.fetch_person(user_id)
        if person is None:
            raise PersonaUnknown(user_id)
        return person
    found = named(await slack.fetch_people(), who.name)
    if len(found) != 1:
        raise PersonaUnknown(who.name) if not found else Ambiguous(who.name)
    return found[0]


async def find_trainable(slack: SlackWorkspace, who: Who, asker_id: str) -> Person:
    """Somebody who can be imitated. Raises PersonaUnknown, PersonaNotAllowed."""
    person = await find_person(slack, who, asker_id)
    reason = why_not(person, slack.bot.user_id)
    if reason is not None:
        raise PersonaNotAllowed(person.user_id, reason)
    return person


async def fetch_names(slack: SlackWorkspace, user_ids: Iterable[str]) -> dict[str, str]:
    """What people are called. A name is a courtesy: where Slack does not tell it, they are "someone"."""
    names: dict[str, str] = {}

    async def learn(user_id: str) -> None:
        try:
            person = await slack.fetch_person(user_id)
        except (SlackRefused, SlackAway, SlackUnknown) as error:
            log.warning("name not found", extra={"error": type(error).__name__})
            return
        if person is not None:
            names[user_id] = person.name

    async with asyncio.TaskGroup() as group:
        for user_id in list(dict.fromkeys(user_ids))[:MOST_NAMES]:
            group.create_task(learn(user_id))
    return names
