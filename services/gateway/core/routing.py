"""Whom to answer: people who speak to the bot, once, while they still wait. Never apps, edits or itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from proto.body import utc
from proto.slack import EventCallback, Utterance


@dataclass(frozen=True)
class Lateness:
    """From when on an answer says that it is late, and from when on there is none."""

    late: timedelta = timedelta(minutes=10)
    too_late: timedelta = timedelta(hours=24)


IN_TIME: Final = Lateness()
SPOKEN_SUBTYPES: Final = frozenset((None, "file_share", "thread_broadcast"))
SLACKBOT: Final = "USLACKBOT"


@dataclass(frozen=True)
class Bot:
    """Who we are in one workspace."""

    team_id: str
    api_app_id: str
    user_id: str
    bot_id: str
    enterprise_id: str | None = None
    org_wide: bool = False  # the token is the organisation's: calls name the workspace that they mean


@dataclass(frozen=True)
class Installed:
    """One workspace's installation, its token opened."""

    bot: Bot
    token: SecretStr


@dataclass(frozen=True)
class Answer:
    """Answer it. `note` says how late it is, where it is."""

    utterance: Utterance
    user_id: str
    thread_ts: str
    is_foreign: bool
    note: str | None = None


@dataclass(frozen=True)
class Ignore:
    """Leave it; the reason is for the metrics."""

    reason: str


def route(envelope: EventCallback, bot: Bot, now: datetime, lateness: Lateness = IN_TIME) -> Answer | Ignore:
    """Decide whether an event is somebody asking us something."""
    said = envelope.event
    if not isinstance(said, Utterance):
        return Ignore("other_event")
    if said.type == "message" and said.channel_type != "im":
        return Ignore("not_to_us")
    reason = _nobody_asking(said, bot)
    if reason is not None or said.user is None:
        return Ignore(reason or "no_user")
    age = now - instant_of(said.ts)
    if age > lateness.too_late:
        return Ignore("too_old")
    return Answer(
        said,
        said.user,
        said.thread_ts or said.ts,
        is_foreign(envelope, said, bot),
        _late_note(age) if age > lateness.late else None,
    )


def _nobody_asking(said: Utterance, bot: Bot) -> str | None:
    if said.user in (bot.user_id, SLACKBOT):
        return "self_or_slackbot"
    if said.bot_id or said.app_id or said.bot_profile:
        return "app"
    if said.edited or said.hidden:
        return "edited_or_hidden"
    if said.subtype not in SPOKEN_SUBTYPES:
        return "subtype"
    return None


def is_foreign(envelope: EventCallback, said: Utterance, bot: Bot) -> bool:
    """Somebody of another workspace (Slack Connect): answered, never by a persona."""
    homes = {home for home in (said.user_team, said.team, said.source_team) if home}
    return envelope.is_ext_shared_channel and bool(homes - {bot.team_id, bot.enterprise_id})


def instant_of(ts: str) -> datetime:
    """When a Slack timestamp is; good to the second, never an id."""
    return utc(int(ts.partition(".")[0]))


def _late_note(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    span = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
    return f"Sorry, this comes {span} late: I was away."
