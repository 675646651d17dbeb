"""Answer whom, and never oneself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from proto.body import utc
from proto.slack import EventCallback, Utterance

LATE: Final = timedelta(minutes=10)  # answered with a note how late
TOO_LATE: Final = timedelta(hours=24)
SLACKBOT: Final = "USLACKBOT"


@dataclass(frozen=True)
class Identity:
    """Who we are in one workspace."""

    bot_user_id: str
    bot_id: str
    app_id: str


class Ignored(StrEnum):
    """Why an event is not answered."""

    NOT_ASKED = "not_asked"
    OURSELVES = "ourselves"
    BOT = "bot"
    EDITED = "edited"
    TOO_OLD = "too_old"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Ask:
    """Somebody asks us something."""

    channel: str
    ts: str
    thread_ts: str
    user_id: str
    text: str
    in_dm: bool
    late: bool


def route(event: EventCallback, me: Identity, now: datetime) -> Ask | Ignored:
    """Decide whether an event wants an answer. Edits never do, nor do bots, so two bots can't talk for ever."""
    said = event.event
    if not isinstance(said, Utterance):
        return Ignored.NOT_ASKED
    in_dm = said.type == "message" and said.channel_type == "im" and said.subtype in {None, "file_share"}
    if not (said.type == "app_mention" or in_dm):
        return Ignored.NOT_ASKED
    if said.user == me.bot_user_id or (said.bot_id and said.bot_id == me.bot_id):
        return Ignored.OURSELVES
    if said.bot_id or said.app_id or said.bot_profile:
        return Ignored.BOT
    if said.edited or said.hidden:
        return Ignored.EDITED
    if said.user is None or said.user == SLACKBOT:
        return Ignored.NOBODY
    age = now - utc(float(said.ts))
    if age > TOO_LATE:
        return Ignored.TOO_OLD
    return Ask(said.channel, said.ts, said.thread_ts or said.ts, said.user, said.text, in_dm, age > LATE)
