"""From a thread as Slack tells it to the turns of a prompt: cleaned, bounded, up to the question."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from doppel.slack import mrkdwn
from proto.conversation import Message, Turn, WordsOf, render_turns
from services.gateway.core.routing import SPOKEN_SUBTYPES, Bot

OWN_LABEL: Final = " (AI)"
ASKER_ALIAS: Final = (
    "USELF"  # a person who asks their own persona: their question is no answer of the persona
)
_AS: Final = re.compile(r"^as\s+<@([UW][A-Z0-9]{1,30})(?:\|[^<>]{0,80})?>[\s,:;-]{0,8}", re.IGNORECASE)
_NUL: Final = str.maketrans("", "", "\x00")


@dataclass(frozen=True)
class Question:
    """What somebody asks us, without the words that only address us."""

    text: str
    persona_user_id: str | None  # named by "as @ada"


def read_question(text: str, bot_user_id: str) -> Question:
    """Take the mention of the bot and "as @ada" off the front. The rest stays mrkdwn."""
    rest = without_mention(text, bot_user_id)
    named = _AS.match(rest)
    return Question(rest[named.end() :], named[1]) if named else Question(rest, None)


def without_mention(text: str, bot_user_id: str) -> str:
    """Take the mention that opens a message off; one in its middle is part of the sentence."""
    mention = re.match(rf"\s*<@{re.escape(bot_user_id)}(?:\|[^<>]{{0,80}})?>[\s,:;-]{{0,8}}", text)
    return text[mention.end() :] if mention else text.strip()


def bounded(
    thread: Sequence[Mapping[str, Any]], question_ts: str, *, messages: int, characters: int
) -> list[Mapping[str, Any]]:
    """The last messages before the question that fit, oldest first; the question itself is not among them."""
    earlier = {str(each["ts"]): each for each in thread if _is_before(str(each.get("ts", "")), question_ts)}
    kept: list[Mapping[str, Any]] = []
    room = characters
    for _, each in sorted(earlier.items(), key=lambda entry: _order(entry[0]), reverse=True):
        room -= len(str(each.get("text") or ""))
        if len(kept) >= messages - 1 or room < 0:
            break
        kept.append(each)
    return kept[::-1]


def _is_before(ts: str, other: str) -> bool:
    return bool(re.fullmatch(r"\d{1,12}\.\d{1,9}", ts)) and _order(ts) < _order(other)


def _order(ts: str) -> tuple[int, int]:
    seconds, _, micros = ts.partition(".")
    return int(seconds), int(micros.ljust(9, "0") or 0)


def people_in(thread: Sequence[Mapping[str, Any]], question: str) -> list[str]:
    """Everybody whose name is needed, each once, in order."""
    found: dict[str, None] = {}
    for each in thread:
        if each.get("user"):
            found[str(each["user"])] = None
        found.update(dict.fromkeys(mrkdwn.mentions(str(each.get("text") or ""))))
    found.update(dict.fromkeys(mrkdwn.mentions(question)))
    return list(found)


@dataclass(frozen=True)
class Voice:
    """Who answers: a persona, or the bot itself."""

    user_id: str | None
    name: str

    @property
    def username(self) -> str:
        """The name that a persona's posts carry; it says that an AI writes."""
        return label(self.name)


def label(name: str) -> str:
    """``Ada (AI)``: no @, no control characters, at most 80 characters."""
    plain = " ".join("".join(c for c in name if c.isprintable() and c not in "@<>&").split())
    return (plain[: 80 - len(OWN_LABEL)].strip() or "Somebody") + OWN_LABEL


def turns_of(
    thread: Sequence[Mapping[str, Any]],
    question: str,
    asker: str,
    *,
    bot: Bot,
    voice: Voice,
    names: Mapping[str, str],
    channel: str,
    question_ts: str,
) -> tuple[Turn, ...]:
    """Turns, oldest first, ending with the question; empty where the question has no words."""
    own_id = voice.user_id or bot.user_id
    known = {**names, own_id: voice.name, ASKER_ALIAS: names.get(asker, "")}
    said = [_message(each, bot, voice, known, channel) for each in thread]
    text = _plain(question, known)
    if not text:
        return ()
    who = ASKER_ALIAS if asker == own_id else asker
    last = Message(channel_id=channel, ts=question_ts, user_id=who, text=text)
    return render_turns([*[each for each in said if each], last], own_id, known)


def _message(
    raw: Mapping[str, Any], bot: Bot, voice: Voice, names: Mapping[str, str], channel: str
) -> Message | None:
    """One earlier message, or None where nobody's words are in it."""
    message = message_of(raw, bot, names, channel)
    if message is None or not is_ours(raw, bot):
        return message
    own_voice = raw.get("username") == voice.username if voice.user_id else not _is_disguised(raw)
    if own_voice:
        return message.model_copy(
            update={"user_id": voice.user_id or bot.user_id, "words_of": WordsOf.PERSON}
        )
    return message


def is_ours(raw: Mapping[str, Any], bot: Bot) -> bool:
    """Did we post it?"""
    return raw.get("bot_id") == bot.bot_id or raw.get("user") == bot.user_id


def message_of(raw: Mapping[str, Any], bot: Bot, names: Mapping[str, str], channel: str) -> Message | None:
    """A message as Slack tells it: a person's words, or an app's (ours too). None where nobody's are in it."""
    text = _plain(without_mention(str(raw.get("text") or ""), bot.user_id), names)
    common: dict[str, Any] = {"channel_id": channel, "ts": raw["ts"], "text": text}
    if is_ours(raw, bot) or raw.get("bot_id") or raw.get("subtype") == "bot_message":
        return Message(**common, words_of=WordsOf.APP)
    if raw.get("subtype") not in SPOKEN_SUBTYPES or raw.get("hidden"):
        return None
    user_id = str(raw.get("user") or "")
    return Message(**common, user_id=user_id if re.fullmatch(r"[UW][A-Z0-9]{1,30}", user_id) else None)


def _is_disguised(raw: Mapping[str, Any]) -> bool:
    return str(raw.get("username") or "").endswith(OWN_LABEL)


def _plain(text: str, names: Mapping[str, str]) -> str:
    return mrkdwn.to_plain(text, names).translate(_NUL).strip()
