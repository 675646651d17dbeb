"""From a thread to the turns of a question: cleaned, bounded, in the same form that datasets have."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doppel.slack.mrkdwn import mentions, to_plain
from proto.conversation import Message, Turn, WordsOf, render_turns

Slack = Mapping[str, Any]


def authors_of(messages: Iterable[Slack], text: str = "") -> set[str]:
    """Whose names are needed: those who speak and those who are mentioned."""
    found = {str(message["user"]) for message in messages if message.get("user")}
    for message in messages:
        found |= set(mentions(str(message.get("text") or "")))
    return found | set(mentions(text))


def select_messages(messages: Sequence[Slack], up_to_ts: str, limit: int) -> list[Slack]:
    """The root and the newest before `up_to_ts` (inclusive), without what nobody said; oldest first, each ts once."""
    seen: dict[str, Slack] = {}
    for message in messages:
        ts = str(message.get("ts") or "")
        if (
            not ts
            or message.get("hidden")
            or message.get("subtype") in {"tombstone", "channel_join", "channel_leave"}
        ):
            continue
        if _key(ts) <= _key(up_to_ts):
            seen.setdefault(ts, message)
    ordered = sorted(seen.values(), key=lambda message: _key(str(message["ts"])))
    return ordered if len(ordered) <= limit else [ordered[0], *ordered[-(limit - 1) :]]


def _key(ts: str) -> tuple[int, int]:
    seconds, _, micros = ts.partition(".")
    return int(seconds or 0), int(micros or 0)


def plan_turns(
    messages: Sequence[Slack],
    *,
    channel: str,
    names: Mapping[str, str],
    bot_user_id: str,
    persona_user_id: str | None,
    our_personas: Mapping[str, str],
    characters: int,
) -> tuple[Turn, ...]:
    """Turns, oldest first, ending with what was asked.

    `our_personas`: ts → persona of our own earlier answers, so that the persona's count as its own words and
    another's as somebody's. The mention of the bot itself is no word of the question.
    """
    normal: list[Message] = []
    for message in messages:
        ts = str(message["ts"])
        ours = message.get("user") == bot_user_id or message.get("bot_id") is not None
        author = (
            our_personas.get(ts, str(message.get("user") or "")) if ours else str(message.get("user") or "")
        )
        text = _without_bot(to_plain(str(message.get("text") or ""), {**names, bot_user_id: ""}))
        spoken = author if _is_user(author) and (not ours or ts in our_personas) else None
        normal.append(
            Message(
                channel_id=channel,
                ts=ts,
                user_id=spoken,
                words_of=WordsOf.PERSON if spoken or not ours else WordsOf.APP,
                text=text,
            )
        )
    turns = list(render_turns(_newest(normal, characters), persona_user_id, names))
    while turns and turns[-1].role == "assistant":  # a question ends with what somebody else said
        turns.pop()
    return tuple(turns)


def _newest(messages: Sequence[Message], characters: int) -> list[Message]:
    """As many of the newest as fit; the last one always, cut from its front if it must be."""
    kept: list[Message] = []
    room = characters
    for message in reversed(messages):
        size = len(message.text)
        if kept and size > room:
            break
        kept.append(
            message if size <= characters else message.model_copy(update={"text": message.text[-characters:]})
        )
        room -= size
    return kept[::-1]


def _is_user(user_id: str) -> bool:
    return user_id[:1] in {"U", "W"} and user_id.isalnum() and user_id.isupper()


def _without_bot(text: str) -> str:
    """The bot's mention was resolved to a bare ``@``."""
    return " ".join(part for part in text.split(" ") if part != "@").strip()
