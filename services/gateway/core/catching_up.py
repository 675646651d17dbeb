"""What was said to us while nobody listened, found in what Slack shows of a channel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from pydantic import ValidationError

from proto.slack import Authorization, EventCallback, Utterance
from services.gateway.core.routing import Bot, instant_of

MOST_THREADS: Final = 20  # of one channel


@dataclass
class Pace:
    """A burst of calls, then so many a minute: the rest of a method's budget is for whoever speaks now."""

    burst: int
    a_minute: float
    left: float = -1.0
    at_s: float = 0.0

    def take(self, now_s: float) -> float:
        """Take a turn; how long to wait before it is used."""
        if self.left < 0:
            self.left, self.at_s = float(self.burst), now_s
        self.left = min(float(self.burst), self.left + (now_s - self.at_s) * self.a_minute / 60) - 1
        self.at_s = now_s
        if self.left >= 0:
            return 0.0
        wait_s = -self.left * 60 / self.a_minute
        self.left, self.at_s = 0.0, now_s + wait_s
        return wait_s


def missed_in(
    messages: Iterable[Mapping[str, Any]], bot: Bot, channel: str, since: datetime
) -> list[Utterance]:
    """Messages to the bot since then, as the events that never came. In a DM each message is to the bot."""
    is_dm = channel.startswith("D")
    found: list[Utterance] = []
    for message in messages:
        text = message.get("text")
        if not isinstance(text, str) or not (is_dm or is_mention(text, bot.user_id)):
            continue
        kept = {name: value for name, value in message.items() if name not in ("type", "edited", "channel")}
        kind = "message" if is_dm else "app_mention"
        try:
            said = Utterance.model_validate(
                kept | {"type": kind, "channel": channel, "channel_type": "im" if is_dm else "channel"}
            )
        except (ValidationError, RecursionError):
            continue
        if instant_of(said.ts) >= since:
            found.append(said)
    return found


def is_mention(text: str, user_id: str) -> bool:
    """Does it name the bot, with or without a label?"""
    return f"<@{user_id}>" in text or f"<@{user_id}|" in text


def threads_to_read(
    messages: Iterable[Mapping[str, Any]], known: Iterable[str], since: datetime
) -> list[str]:
    """Threads with replies since then; `known` ones too, whose roots are older than what was read. Newest first."""
    seen: dict[str, bool] = {}
    for message in messages:
        ts, latest = message.get("ts"), message.get("latest_reply")
        if isinstance(ts, str):
            seen[ts] = isinstance(latest, str) and _is_since(latest, since)
    wanted = [ts for ts, is_new in seen.items() if is_new] + [ts for ts in known if ts not in seen]
    return sorted(dict.fromkeys(wanted), reverse=True)[:MOST_THREADS]


def _is_since(ts: str, since: datetime) -> bool:
    head = ts.partition(".")[0]
    return head.isascii() and head.isdigit() and len(head) <= 12 and instant_of(ts) >= since


def event_of(said: Utterance, bot: Bot) -> EventCallback:
    """The event as Slack would have sent it. Its id is derived: found twice, it is one event."""
    return EventCallback(
        team_id=bot.team_id,
        enterprise_id=bot.enterprise_id,
        api_app_id=bot.api_app_id,
        event_id=f"catchup:{said.channel}:{said.ts}",
        event_time=int(said.ts.partition(".")[0]),
        authorizations=(
            Authorization(
                team_id=bot.team_id,
                enterprise_id=bot.enterprise_id,
                user_id=bot.user_id,
                is_enterprise_install=bot.org_wide,
            ),
        ),
        event=said,
    )


def ids_of(channels: Iterable[object]) -> list[str]:
    """The ids of channel objects."""
    found = [cast("Mapping[str, Any]", each).get("id") for each in channels if isinstance(each, dict)]
    return [each for each in found if isinstance(each, str)]
